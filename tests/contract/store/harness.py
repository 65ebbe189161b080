"""The write and read path of the worker on a database, with a catalogue of two chatbots and without a bus."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker.commands.context_builder import ContextBuilder
from persistence_worker.commands.transaction import TransactionRunner
from persistence_worker.domain import publications
from persistence_worker.domain.catalogue import Catalogue
from persistence_worker.domain.command_batch import AppliedBatch, ReceivedCommand
from persistence_worker.domain.unit_of_work import Limits
from persistence_worker.reads.queries import Queries
from persistence_worker.reads.service_access import answer_recorded
from persistence_worker.storage.catalogue_store import load_catalogue, save_catalogue
from persistence_worker.storage.database import Database
from persistence_worker.storage.session_reader import SessionReader
from persistence_worker.storage.session_store import SessionStore
from persistence_worker.storage.summary_store import SummaryStore
from shared.contracts import queries as q
from shared.contracts.commands import AcceptInvite, CreateInvite
from shared.contracts.events import ChatbotCard, ChatbotsAnnounced, MessageStored, MessageUpdated, SessionUpdated
from shared.contracts.payload import Payload, rfc3339
from shared.contracts.queries import Reply
from shared.contracts.turns import RunTurn
from shared.contracts.views import Message, Session
from tests.support.commands import ADA, CARDS, NOON, expiry, finish, received, send, start

P = TypeVar("P", bound=Payload)

PARTITIONS = 4


@dataclass
class StoreHarness:
    """Applies batches of commands, and keeps the publications of the last one."""

    engine: AsyncEngine
    limits: Limits = field(default_factory=lambda: Limits(chatbots=8, users=100))
    published: list[publications.Publication] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.database = Database(self.engine, PARTITIONS)
        self.catalogue = Catalogue()
        self.sessions = SessionStore(self.database.dialect)
        self.reader = SessionReader(self.sessions, self.database.dialect)
        self.contexts = ContextBuilder(self.reader, SummaryStore(self.database.dialect), self.catalogue)
        self.runner = TransactionRunner(self.database, self.catalogue, self.contexts, limits=self.limits)
        self.queries = Queries(self.reader)

    async def announce(self, cards: list[ChatbotCard] | None = None, at: datetime = NOON) -> bool:
        announced = ChatbotsAnnounced(chatbots=CARDS if cards is None else cards, modified_at=rfc3339(at))
        stored = await self.database.write(lambda c: save_catalogue(c, announced))
        self.catalogue.replace(await self.database.read(load_catalogue))
        return stored

    async def apply(self, *commands: Any) -> AppliedBatch:
        return await self.apply_received(*map(received, commands))

    async def apply_received(self, *commands: ReceivedCommand) -> AppliedBatch:
        applied = await self.runner.run(commands)
        self.published = publications.of_batch(applied, PARTITIONS)
        return applied

    def events(self, kind: type[P]) -> list[P]:
        """Return the payloads of a type that the last batch published, each once however many keys it went to."""
        seen = {id(event.data): event.data for _, _, event in self.published}
        return [data for data in seen.values() if isinstance(data, kind)]

    @property
    def turns(self) -> list[RunTurn]:
        return self.events(RunTurn)

    @property
    def stored(self) -> list[Message]:
        return [event.message for event in self.events(MessageStored)]

    @property
    def changed(self) -> list[Message]:
        return [event.message for event in self.events(MessageUpdated)]

    @property
    def updated(self) -> list[Session]:
        return [event.session for event in self.events(SessionUpdated)]

    async def do(self, kind: type[Payload], session_id: UUID, user: str = ADA, **fields: Any) -> Any:
        """Apply one command; return its result, or the code of its error."""
        return outcome(await self.apply(kind(session_id=session_id, user_id=user, **fields)))  # type: ignore[call-arg]

    async def session(self, *others: str, **more: Any) -> UUID:
        """Create a session of Ada's, of which `others` become members by an invite."""
        command = start(**more)
        await self.apply(command)
        if others:
            await self.do(CreateInvite, command.session_id, invite_hash="h", expires_at=expiry(60), max_uses=None)
        for other in others:
            await self.do(AcceptInvite, command.session_id, other, invite_hash="h")
        return command.session_id

    async def ask(self, query: Payload) -> Any:
        return await answer_recorded(self.database, self.queries, query)

    async def join(self, session_id: UUID, after: int | None = None, limit: int = 50, user: str = ADA) -> q.JoinResult:
        query = q.JoinSession(user_id=user, session_id=session_id, after_seq=after, limit=limit)
        return await self.ask(query)  # type: ignore[no-any-return]

    async def turn(self, session_id: UUID, content: str = "hello", reply: str = "hello back") -> None:
        """Send a message, and store the reply to it."""
        await self.apply(send(session_id, content))
        [turn] = self.turns
        await self.apply(finish(turn, reply))


def answer(applied: AppliedBatch) -> Reply:
    """Return the only answer of a batch."""
    [(_, reply)] = applied.batch.answers
    return reply


def outcome(applied: AppliedBatch) -> Any:
    """Return the result of the only command that was answered, or the code of its error."""
    reply = answer(applied)
    return reply.error.code if reply.error is not None else reply.result

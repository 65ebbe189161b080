"""A ledger with its database and a catalogue of two chatbots, driven by commands and queries as they come."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker.commands.transaction import Ledger
from persistence_worker.domain import publications
from persistence_worker.domain.catalogue import Catalogue
from persistence_worker.domain.command_batch import Applied, Order
from persistence_worker.domain.unit_of_work import Limits
from persistence_worker.reads.queries import Queries
from persistence_worker.storage.catalogue_store import load_catalogue, save_catalogue
from persistence_worker.storage.database import Database
from shared.contracts import queries as q
from shared.contracts.commands import AcceptInvite, CreateInvite, FinishReply, SendMessage, StartSession
from shared.contracts.envelope import Event, read_body
from shared.contracts.events import (
    ChatbotCard,
    ChatbotsAnnounced,
    ContextWanted,
    MessageStored,
    MessageUpdated,
    SessionUpdated,
)
from shared.contracts.payload import Payload, utc_now
from shared.contracts.queries import Reply
from shared.contracts.turns import RunTurn
from shared.contracts.views import Message, Session

M = TypeVar("M")

ADA = "ada"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def card(
    name: str, *, default: bool = False, messages: int = 20, size: int = 32_768, summary: bool = False
) -> ChatbotCard:
    return ChatbotCard(
        id=name,
        name=name.title(),
        description=f"{name} for tests",
        default=default,
        immediate=True,
        context=ContextWanted(messages=messages, bytes=size, summary=summary),
    )


CARDS = [card("eliza"), card("echo", default=True, messages=0, size=0)]


def start(session_id: UUID | None = None, user: str = ADA, **more: Any) -> StartSession:
    fields = {"title": None, "chatbot_ids": None, "reply_policy": "mentioned", "created_at": NOON} | more
    return StartSession(session_id=session_id or uuid4(), user_id=user, **fields)


def send(session_id: UUID, content: str = "hello", user: str = ADA, **more: Any) -> SendMessage:
    fields = {"message_id": uuid4(), "client_message_id": None, "reply_to": None, "created_at": NOON} | more
    return SendMessage(session_id=session_id, user_id=user, content=content, **fields)


def finish(turn: RunTurn, content: str = "hello back", **more: Any) -> FinishReply:
    fields = {"attempt": 1000, "status": "complete", "error": None, "created_at": NOON} | more
    return FinishReply(
        session_id=turn.session_id, message_id=turn.message_id, chatbot_id=turn.chatbot_id, content=content, **fields
    )


def order(
    command: Any, deadline: datetime | None = None, command_id: str | None = None, *, redelivered: bool = False
) -> Order:
    """A command as it comes over the bus: encoded, and read again."""
    known = {} if command_id is None else {"id": command_id}
    event = Event("tests", command, subject=str(command.session_id), replyto="me", deadline=deadline, **known)
    [received] = read_body(b"[" + event.encode() + b"]")
    return Order(received, received.parse(type(command)), redelivered)


@dataclass
class Desk:
    """Applies batches and keeps what they told."""

    engine: AsyncEngine
    limits: Limits = field(default_factory=lambda: Limits(chatbots=8, users=100))
    told: list[publications.Publication] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.database = Database(self.engine, 4)
        self.catalogue = Catalogue()
        self.ledger = Ledger(self.database, self.catalogue, limits=self.limits)
        self.queries = Queries(self.ledger.reads)

    async def announce(self, cards: list[ChatbotCard] | None = None, at: datetime = NOON) -> bool:
        announced = ChatbotsAnnounced(chatbots=CARDS if cards is None else cards, modified_at=at)
        taken = await self.database.write(lambda c: save_catalogue(c, announced))
        self.catalogue.replace(await self.database.read(load_catalogue))
        return taken

    async def apply(self, *commands: Any) -> Applied:
        return await self.apply_orders(*map(order, commands))

    async def apply_orders(self, *orders: Order) -> Applied:
        applied = await self.ledger.apply(orders)
        self.told = publications.of(applied, 4)
        return applied

    def events(self, kind: type[M]) -> list[M]:
        """What the last batch told, by type, each once however many keys it went to."""
        seen: dict[int, M] = {id(e.data): e.data for _, _, e in self.told if isinstance(e.data, kind)}  # type: ignore[misc]
        return list(seen.values())

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
        """One command by itself: its result, or the code of its refusal."""
        return outcome(await self.apply(kind(session_id=session_id, user_id=user, **fields)))  # type: ignore[call-arg]

    async def session(self, *others: str, **more: Any) -> UUID:
        """A session of Ada's, with others who have accepted an invite."""
        command = start(**more)
        await self.apply(command)
        if others:
            await self.do(CreateInvite, command.session_id, invite_hash="h", expires_at=soon(60), max_uses=None)
        for other in others:
            await self.do(AcceptInvite, command.session_id, other, invite_hash="h")
        return command.session_id

    async def ask(self, query: Payload) -> Any:
        return await self.database.read(lambda connection: self.queries.answer(connection, query))

    async def join(self, session_id: UUID, after: int | None = None, limit: int = 50, user: str = ADA) -> q.JoinResult:
        query = q.JoinSession(user_id=user, session_id=session_id, after_seq=after, limit=limit)
        return await self.ask(query)  # type: ignore[no-any-return]

    async def turn(self, session_id: UUID, content: str = "hello", reply: str = "hello back") -> None:
        """One whole turn: a message and its reply."""
        await self.apply(send(session_id, content))
        [turn] = self.turns
        await self.apply(finish(turn, reply))


def answer(applied: Applied) -> Reply:
    [(_, reply)] = applied.batch.answers
    return reply


def outcome(applied: Applied) -> Any:
    """The result of the one command that was answered, or the code of its refusal."""
    reply = answer(applied)
    return reply.error.code if reply.error is not None else reply.result


def soon(seconds: float) -> datetime:
    return utc_now() + timedelta(seconds=seconds)

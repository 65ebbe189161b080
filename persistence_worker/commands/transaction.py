"""One batch in one transaction: lock, read, apply, write, look at the clock, commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import partial
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from persistence_worker.commands.loading import Loader
from persistence_worker.domain.catalogue import Catalogue
from persistence_worker.domain.command_batch import RULES, Applied, Batch, Order
from persistence_worker.domain.context import Context, ContextRow, Contexts, context, end, row_of, wants
from persistence_worker.domain.state import Loaded, Turn
from persistence_worker.domain.unit_of_work import Limits, Start
from persistence_worker.storage.catalogue_store import load_catalogue
from persistence_worker.storage.command_store import RoomStore
from persistence_worker.storage.database import Database
from persistence_worker.storage.session_reader import Reads
from persistence_worker.storage.session_store import Store
from persistence_worker.storage.summary_store import SummaryStore
from shared.contracts.commands import EraseAuthor, FinishReply, MarkRead, SendMessage, StartSession
from shared.contracts.events import ContextWanted
from shared.contracts.payload import utc_now
from shared.contracts.turns import Summary
from shared.contracts.views import Message


class TooLate(Exception):
    """A deadline passed before the commit: the batch is applied anew without that command."""


class Ledger:
    """Where sessions are written."""

    def __init__(self, database: Database, catalogue: Catalogue, *, limits: Limits) -> None:
        self._database = database
        self._catalogue = catalogue
        self._limits = limits
        self._rooms = RoomStore(database.dialect)
        self.store = Store(database.dialect)
        self._summaries = SummaryStore(database.dialect)
        self._loader = Loader(self.store, self._rooms, self._summaries, catalogue)
        self.reads = Reads(self.store, database.dialect)

    async def apply(self, orders: Sequence[Order], *, again: bool = False) -> Applied:
        """Apply and commit; what has already been applied changes nothing, what is too late does not begin.

        `again`: an earlier try of these may have been committed. What was, is told again however late it is.
        """
        if again:
            orders = [replace(order, redelivered=True) for order in orders]
        raced = False
        while True:
            now = utc_now()
            late = frozenset(order.received.id for order in orders if order.received.is_late(now))
            wanted = [order for order in orders if order.redelivered or order.received.id not in late]
            try:
                return await self._database.write(partial(self._transaction, orders=wanted, late=late))
            except TooLate:
                continue
            except IntegrityError:
                if raced:
                    raise
                raced = True  # two workers made the same session at once: now it is there, and can be locked

    async def is_applied(self, order: Order) -> bool:
        """Whether a command has left its mark, judged by ids alone: nothing of its content is touched.

        It asks for the row's lock, so a database that takes no changes raises instead.
        """
        return await self._database.write(partial(self._is_applied, order=order))

    def _is_applied(self, connection: Connection, order: Order) -> bool:
        command = order.command
        message_ids = [command.message_id] if isinstance(command, SendMessage) else []
        loaded = self.store.load(connection, [command.session_id], message_ids)
        if isinstance(command, MarkRead):
            self._rooms.load_read(connection, loaded, [(command.session_id, command.user_id)])
        elif type(command) in RULES:
            self._rooms.load_applied(connection, loaded, [order.received.id])
        return _has_mark(loaded, order)

    def _transaction(self, connection: Connection, orders: Sequence[Order], late: AbstractSet[str]) -> Applied:
        """Of the orders named `late` only those that were applied before are taken: they change nothing."""
        loaded = self._loader.load(connection, orders)
        batch = Batch(loaded, self._catalogue, self._limits, utc_now())
        for order in [each for each in orders if each.received.id not in late or _has_mark(loaded, each)]:
            batch.apply(order)
        batch.conclude()
        self._save(connection, batch, ruled=any(type(order.command) in RULES for order in orders))
        contexts = self.contexts(connection, batch.starts, list(batch.messages.values()))
        now = utc_now()
        if any(order.received.is_late(now) for order in orders if order.received.id not in late):
            raise TooLate
        return Applied(batch, contexts)

    def _save(self, connection: Connection, batch: Batch, *, ruled: bool) -> None:
        if ruled:
            self._rooms.part(connection, batch.writes)
        messages = list(batch.messages.values())
        self.store.save(connection, batch.loaded.sessions.values(), batch.writes.joined, messages)
        if ruled:
            self._rooms.save(connection, batch.loaded, batch.writes)
            self._summaries.save(connection, batch.writes)
        self.store.save_turns(connection, list(batch.changed_turns.values()))

    def contexts(self, connection: Connection, starts: Sequence[Start], messages: Sequence[Message] = ()) -> Contexts:
        """The contexts of turns, from the `messages` at hand and one statement for all the rest."""
        if any(self._catalogue.card(start.turn.chatbot_id) is None for start in starts):
            self._catalogue.replace(load_catalogue(connection))  # it may be new, and only another worker heard of it
        turns = [
            (start.turn, card.context) for start in starts if (card := self._catalogue.card(start.turn.chatbot_id))
        ]
        folded = self._folded(connection, turns)  # before the messages: what changes between the two is then outdated
        at_hand = _rows(messages, {turn.session_id for turn, _ in turns})
        wanted_rows = [wants(turn, at_hand.get(turn.session_id, []), wanted) for turn, wanted in turns]
        read = iter(self.reads.contexts(connection, [want for each in wanted_rows for want in each]))
        contexts: dict[UUID, Context] = {}
        for (turn, wanted), each in zip(turns, wanted_rows, strict=True):
            rows = at_hand.get(turn.session_id, []) + [row for _ in each for row in next(read)]
            as_of, summary = folded.get(turn.id, (0, None))
            contexts[turn.id] = Context(context(turn, rows, wanted, summary), as_of, summary)
        return contexts

    def _folded(
        self, connection: Connection, turns: Sequence[tuple[Turn, ContextWanted]]
    ) -> Mapping[UUID, tuple[int, Summary | None]]:
        """For turns of chatbots that want summaries: how new the session is, and the summary.

        One that reaches into what a turn must not see (it gives an old reply anew) is left out, and no further one
        is to be made of that turn.
        """
        wanting = [turn for turn, wanted in turns if wanted.summary]
        if not wanting:
            return {}
        found = self._summaries.of_sessions(connection, {turn.session_id for turn in wanting})
        folded: dict[UUID, tuple[int, Summary | None]] = {}
        for turn in wanting:
            as_of, summaries = found[turn.session_id]
            summary = summaries.get(turn.chatbot_id)
            if summary is None or summary.up_to_seq < end(turn):
                folded[turn.id] = as_of, summary
        return folded


def _has_mark(loaded: Loaded, order: Order) -> bool:
    """Whether a command was applied before, as far as what was read for its kind can tell."""
    command = order.command
    session = loaded.sessions.get(command.session_id)
    match command:
        case SendMessage():
            return command.message_id in loaded.known
        case FinishReply():
            return session is None or all(turn.id != command.message_id for turn in session.turns.values())
        case StartSession():
            return session is not None
        case EraseAuthor():
            return session is None or command.user_id not in session.users
        case MarkRead():
            return command.seq <= loaded.read.get((command.session_id, command.user_id), -1)
        case _:
            return order.received.id in loaded.applied


def _rows(messages: Sequence[Message], session_ids: set[UUID]) -> dict[UUID, list[ContextRow]]:
    rows: dict[UUID, list[ContextRow]] = {}
    for message in messages:
        if message.session_id in session_ids and message.superseded_by is None:
            rows.setdefault(message.session_id, []).append(row_of(message))
    return rows

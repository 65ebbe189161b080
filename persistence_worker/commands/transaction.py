"""Runs a batch of commands in one transaction: lock, load, apply, save, check deadlines, commit."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import partial

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from persistence_worker.commands.context_builder import ContextBuilder
from persistence_worker.commands.loading import Loader
from persistence_worker.domain.catalogue import Catalogue
from persistence_worker.domain.command_batch import AppliedBatch, CommandBatch, ReceivedCommand
from persistence_worker.domain.rules.registry import KEYED_COMMANDS, RULES
from persistence_worker.domain.state import Loaded
from persistence_worker.domain.unit_of_work import Limits
from persistence_worker.storage import access_store
from persistence_worker.storage.command_store import CommandStore
from persistence_worker.storage.database import Database
from persistence_worker.storage.session_store import SessionStore
from persistence_worker.storage.summary_store import SummaryStore
from shared.contracts.commands import EraseAuthor, FinishReply, MarkRead, SendMessage, StartSession
from shared.contracts.payload import utc_now


class DeadlinePassed(Exception):
    """A command's deadline passed before the commit: the batch is applied again without that command."""


class TransactionRunner:
    """Applies batches of commands to the database."""

    def __init__(self, database: Database, catalogue: Catalogue, contexts: ContextBuilder, *, limits: Limits) -> None:
        self._database = database
        self._catalogue = catalogue
        self._contexts = contexts
        self._limits = limits
        self._sessions = SessionStore(database.dialect)
        self._commands = CommandStore(database.dialect)
        self._summaries = SummaryStore(database.dialect)
        self._loader = Loader(self._sessions, self._commands, self._summaries, catalogue)

    async def run(self, commands: Sequence[ReceivedCommand], *, maybe_committed: bool = False) -> AppliedBatch:
        """Apply commands and commit. A command past its deadline is skipped, unless it was applied before.

        `maybe_committed`: an earlier attempt may have been committed, so that its publications are repeated.

        Raises:
            Exception: the error of the database or of a rule; nothing is committed, or that is unknown.
        """
        if maybe_committed:
            commands = [replace(received, redelivered=True) for received in commands]
        raced = False
        while True:
            now = utc_now()
            late = frozenset(received.envelope.id for received in commands if received.envelope.is_late(now))
            chosen = [received for received in commands if received.redelivered or received.envelope.id not in late]
            try:
                return await self._database.write(partial(self._transaction, commands=chosen, late=late))
            except DeadlinePassed:
                continue
            except IntegrityError:
                if raced:
                    raise
                raced = True  # another worker created the same session at the same time: now it can be locked

    async def is_applied(self, received: ReceivedCommand) -> bool:
        """Whether a command was applied before, judged by its ids without looking at its content.

        The session's row is locked, so that a read-only database raises an error.
        """
        return await self._database.write(partial(self._is_applied, received=received))

    def _is_applied(self, connection: Connection, received: ReceivedCommand) -> bool:
        command = received.command
        message_ids = [command.message_id] if isinstance(command, SendMessage) else []
        loaded = self._sessions.load(connection, [command.session_id], message_ids)
        if isinstance(command, MarkRead):
            self._commands.load_read_marks(connection, loaded, [(command.session_id, command.user_id)])
        elif type(command) in RULES and type(command) not in KEYED_COMMANDS:
            self._commands.load_applied(connection, loaded, [received.envelope.id])
        return _was_applied(loaded, received)

    def _transaction(
        self, connection: Connection, commands: Sequence[ReceivedCommand], late: AbstractSet[str]
    ) -> AppliedBatch:
        loaded = self._loader.load(connection, commands)
        batch = CommandBatch(loaded, self._catalogue, self._limits, utc_now())
        # Of the late commands, those that were applied before change nothing, and are published again.
        for received in [each for each in commands if each.envelope.id not in late or _was_applied(loaded, each)]:
            batch.apply(received)
        batch.republish()
        self._save(connection, batch, only_keyed=all(type(each.command) in KEYED_COMMANDS for each in commands))
        contexts = self._contexts.build(connection, batch.turn_starts, list(batch.new_messages.values()))
        now = utc_now()
        if any(each.envelope.is_late(now) for each in commands if each.envelope.id not in late):
            raise DeadlinePassed
        return AppliedBatch(batch, contexts)

    def _save(self, connection: Connection, batch: CommandBatch, *, only_keyed: bool) -> None:
        if not only_keyed:
            self._commands.end_memberships(connection, batch.writes)
        messages = list(batch.new_messages.values())
        self._sessions.save(connection, batch.loaded.sessions.values(), batch.writes.joined, messages)
        if not only_keyed:
            self._commands.save(connection, batch.loaded, batch.writes)
            self._summaries.save(connection, batch.writes)
        self._sessions.save_turns(connection, list(batch.changed_turns.values()))
        if batch.writes.accesses:
            access_store.record(connection, batch.writes.accesses, batch.now)


def _was_applied(loaded: Loaded, received: ReceivedCommand) -> bool:
    """Whether a command was applied before, as far as the state loaded for its type shows."""
    command = received.command
    session = loaded.sessions.get(command.session_id)
    match command:
        case SendMessage():
            return command.message_id in loaded.message_sessions
        case FinishReply():
            return session is None or all(turn.id != command.message_id for turn in session.turns.values())
        case StartSession():
            return session is not None
        case EraseAuthor():
            return session is None or command.user_id not in session.users
        case MarkRead():
            return command.seq <= loaded.read_marks.get((command.session_id, command.user_id), -1)
        case _:
            return received.envelope.id in loaded.applied

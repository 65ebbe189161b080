"""Loads what a batch of commands needs: locks first, then only what its types of command read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from persistence_worker.domain.catalogue import Catalogue
from persistence_worker.domain.command_batch import ReceivedCommand
from persistence_worker.domain.rules.registry import IDEMPOTENT_COMMANDS, KEYED_COMMANDS
from persistence_worker.domain.state import History, Loaded
from persistence_worker.storage import history
from persistence_worker.storage.catalogue_store import load_catalogue
from persistence_worker.storage.command_store import CommandStore
from persistence_worker.storage.session_store import SessionStore
from persistence_worker.storage.summary_store import SummaryStore
from shared.contracts.commands import (
    AcceptInvite,
    AddChatbot,
    CreateInvite,
    EditMessage,
    EraseAuthor,
    FinishReply,
    MarkRead,
    RateReply,
    RegenerateReply,
    SendMessage,
    StartSession,
    StopReply,
    SummarizeSession,
)
from shared.contracts.ids import is_service


class Loader:
    """Loads the state for batches of commands."""

    def __init__(
        self, sessions: SessionStore, commands: CommandStore, summaries: SummaryStore, catalogue: Catalogue
    ) -> None:
        self._sessions = sessions
        self._commands = commands
        self._summaries = summaries
        self._catalogue = catalogue

    def load(self, connection: Connection, batch: Sequence[ReceivedCommand]) -> Loaded:
        """Lock the sessions of these commands, and read what the commands refer to."""
        commands = [received.command for received in batch]
        session_ids = {command.session_id for command in commands}
        messages = {command.message_id for command in commands if isinstance(command, SendMessage)}
        messages |= {c.reply_to for c in commands if isinstance(c, SendMessage) and c.reply_to is not None}
        loaded = self._sessions.load(connection, session_ids, messages)
        answered = {command.session_id for command in commands if isinstance(command, FinishReply)}
        untitled = [s for s in loaded.sessions.values() if s.title is None and s.id in answered]
        if untitled:
            self._sessions.load_title_sources(connection, untitled)
        answered_by_services = {
            c.reply_to for c in commands if isinstance(c, SendMessage) and c.reply_to and is_service(c.user_id)
        }
        if answered_by_services:
            loaded.depths = self._commands.depths(connection, answered_by_services)
        if any(isinstance(command, (StartSession, AddChatbot)) for command in commands):
            self._catalogue.replace(load_catalogue(connection))  # another worker may have stored a newer one
        entering = {c.user_id for c in commands if isinstance(c, (StartSession, AcceptInvite))}
        entering |= {user for c in commands if isinstance(c, StartSession) for user in c.users or ()}
        if entering:
            self._commands.load_erased_users(connection, loaded, entering)
        unkeyed = [received for received in batch if type(received.command) not in KEYED_COMMANDS]
        if unkeyed:
            self._load_references(connection, loaded, unkeyed)
        return loaded

    def _load_references(self, connection: Connection, loaded: Loaded, batch: Sequence[ReceivedCommand]) -> None:
        if ids := [received.envelope.id for received in batch if type(received.command) not in IDEMPOTENT_COMMANDS]:
            self._commands.load_applied(connection, loaded, ids)
        commands = [received.command for received in batch]
        with_message = (StopReply, RateReply, RegenerateReply, EditMessage)
        if message_ids := {command.message_id for command in commands if isinstance(command, with_message)}:
            self._commands.load_messages(connection, loaded, message_ids)
        if hashes := {c.invite_hash for c in commands if isinstance(c, (CreateInvite, AcceptInvite))}:
            self._commands.load_invites(connection, loaded, hashes)
        if members := {(c.session_id, c.user_id) for c in commands if isinstance(c, MarkRead)}:
            self._commands.load_read_marks(connection, loaded, members)
        if summaries := [(r.envelope.id, r.command) for r in batch if isinstance(r.command, SummarizeSession)]:
            self._summaries.load_outdated(connection, loaded, summaries)
        if len(commands) == 1:
            self._load_history(connection, loaded, commands[0])

    def _load_history(self, connection: Connection, loaded: Loaded, command: Any) -> None:
        session = loaded.sessions.get(command.session_id)
        match command:
            case RegenerateReply():
                loaded.history = history.of_reply(connection, command.message_id)
            case EraseAuthor():
                loaded.history = history.of_author(connection, command.session_id, command.user_id, command.after_seq)
            case EditMessage() if session is not None and (message := loaded.messages.get(command.message_id)):
                found, replies = history.of_edit(connection, message, session.last_seq)
                self._commands.load_messages(connection, loaded, replies)
                loaded.history = History([loaded.messages[reply] for reply in replies], found.turns, found.is_last)
            case _:
                pass

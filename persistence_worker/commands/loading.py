"""What a batch of commands must know: locks first, then only what its kinds of command need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from persistence_worker.domain.catalogue import Catalogue
from persistence_worker.domain.command_batch import RULES, UNKEPT, Order
from persistence_worker.domain.state import History, Loaded
from persistence_worker.storage import history
from persistence_worker.storage.catalogue_store import load_catalogue
from persistence_worker.storage.command_store import RoomStore
from persistence_worker.storage.session_store import Store
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


class Loader:
    """Reads for one database."""

    def __init__(self, store: Store, rooms: RoomStore, summaries: SummaryStore, catalogue: Catalogue) -> None:
        self._store = store
        self._rooms = rooms
        self._summaries = summaries
        self._catalogue = catalogue

    def load(self, connection: Connection, orders: Sequence[Order]) -> Loaded:
        """Lock the sessions of these commands and read on."""
        commands = [order.command for order in orders]
        session_ids = {command.session_id for command in commands}
        messages = {command.message_id for command in commands if isinstance(command, SendMessage)}
        messages |= {c.reply_to for c in commands if isinstance(c, SendMessage) and c.reply_to is not None}
        loaded = self._store.load(connection, session_ids, messages)
        answered = {command.session_id for command in commands if isinstance(command, FinishReply)}
        unnamed = [s for s in loaded.sessions.values() if s.title is None and s.id in answered]
        if unnamed:
            self._store.load_first_words(connection, unnamed)
        if any(isinstance(command, (StartSession, AddChatbot)) for command in commands):
            self._catalogue.replace(load_catalogue(connection))  # another worker may have heard the news
        if entering := {c.user_id for c in commands if isinstance(c, (StartSession, AcceptInvite))}:
            self._rooms.load_erased(connection, loaded, entering)
        ruled = [order for order in orders if type(order.command) in RULES]
        if ruled:
            self._load_rooms(connection, loaded, ruled)
        return loaded

    def _load_rooms(self, connection: Connection, loaded: Loaded, orders: Sequence[Order]) -> None:
        if kept := [order.received.id for order in orders if type(order.command) not in UNKEPT]:
            self._rooms.load_applied(connection, loaded, kept)
        commands = [order.command for order in orders]
        targets = (StopReply, RateReply, RegenerateReply, EditMessage)
        if named := {command.message_id for command in commands if isinstance(command, targets)}:
            self._rooms.load_messages(connection, loaded, named)
        if hashes := {c.invite_hash for c in commands if isinstance(c, (CreateInvite, AcceptInvite))}:
            self._rooms.load_invites(connection, loaded, hashes)
        if pairs := {(c.session_id, c.user_id) for c in commands if isinstance(c, MarkRead)}:
            self._rooms.load_read(connection, loaded, pairs)
        if sums := [(o.received.id, o.command) for o in orders if isinstance(o.command, SummarizeSession)]:
            self._summaries.load_outdated(connection, loaded, sums)
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
                self._rooms.load_messages(connection, loaded, replies)
                loaded.history = History([loaded.messages[reply] for reply in replies], found.turns, found.is_last)
            case _:
                pass

"""Loads and saves chatbots' summaries of sessions. Never commits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from sqlalchemy import BigInteger, Connection, bindparam, delete, select

from persistence_worker.domain.state import Loaded, Writes
from persistence_worker.storage.dialect_sql import is_among, upsert
from persistence_worker.storage.tables import chat_messages, chat_sessions, session_summaries
from shared.contracts.commands import SummarizeSession
from shared.contracts.payload import utc_now
from shared.contracts.turns import Summary

CHANGED_SINCE = (  # by the index of (session_id, updated_seq)
    select(chat_messages.c.seq)
    .where(
        chat_messages.c.session_id == bindparam("session"),
        chat_messages.c.updated_seq > bindparam("as_of", type_=BigInteger),
        chat_messages.c.seq <= bindparam("up_to", type_=BigInteger),
    )
    .limit(1)
)
DELETE_CHANGED = delete(session_summaries).where(
    session_summaries.c.session_id == bindparam("session"),
    session_summaries.c.up_to_seq >= bindparam("changed", type_=BigInteger),
)


class SummaryStore:
    """Statements on `session_summaries` for one dialect."""

    def __init__(self, dialect: str) -> None:
        sessions, summaries = chat_sessions.c, session_summaries.c
        self._of_sessions = (
            select(sessions.id, sessions.last_seq, summaries.chatbot_id, summaries.up_to_seq, summaries.text)
            .join_from(chat_sessions, session_summaries, summaries.session_id == sessions.id, isouter=True)
            .where(is_among(sessions.id, "ids", dialect))
        )
        row = upsert(session_summaries, dialect)
        self._store = row.on_conflict_do_update(
            index_elements=["session_id", "chatbot_id"],
            set_={name: row.excluded[name] for name in ("up_to_seq", "text", "updated_at")},
            where=row.excluded.up_to_seq > summaries.up_to_seq,
        )

    @staticmethod
    def load_outdated(connection: Connection, loaded: Loaded, commands: Iterable[tuple[str, SummarizeSession]]) -> None:
        """Load the ids of commands whose summary covers a message that has changed since."""
        for command_id, command in commands:
            values = {"session": command.session_id, "as_of": command.as_of, "up_to": command.up_to_seq}
            if connection.scalar(CHANGED_SINCE, values) is not None:
                loaded.outdated.add(command_id)

    def save(self, connection: Connection, writes: Writes) -> None:
        """Delete summaries of changed messages, and store new ones."""
        for session_id, seq in writes.first_changed.items():
            connection.execute(DELETE_CHANGED, {"session": session_id, "changed": seq})
        for (session_id, chatbot_id), summary in writes.summaries.items():
            values = {"session_id": session_id, "chatbot_id": chatbot_id, "updated_at": utc_now()}
            connection.execute(self._store, values | summary.to_dict())

    def of_sessions(
        self, connection: Connection, session_ids: Iterable[UUID]
    ) -> Mapping[UUID, tuple[int, Mapping[str, Summary]]]:
        """Return each session's newest number, and its summaries by chatbot."""
        found: dict[UUID, tuple[int, dict[str, Summary]]] = {}
        for session_id, last_seq, chatbot_id, up_to_seq, text in connection.execute(
            self._of_sessions, {"ids": list(session_ids)}
        ):
            _, summaries = found.setdefault(session_id, (last_seq, {}))
            if chatbot_id is not None:
                summaries[chatbot_id] = Summary(up_to_seq=up_to_seq, text=text)
        return found

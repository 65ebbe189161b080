"""Queries: each is answered from one snapshot, with its result or a stable error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from persistence_worker.domain import views
from persistence_worker.domain.catalogue import Catalogue
from persistence_worker.domain.state import SessionState
from persistence_worker.reads.cursors import cursor, read_cursor
from persistence_worker.reads.exporting import export
from persistence_worker.reads.searching import search
from persistence_worker.storage.catalogue_store import load_catalogue
from persistence_worker.storage.replies import replies_to
from persistence_worker.storage.session_reader import SessionReader
from shared.contracts import queries as q
from shared.contracts.payload import Model, Payload
from shared.contracts.scopes import CHAT, may_chat, may_read_all
from shared.contracts.views import PAGE_BYTES_MAX, Chatbot, Message
from shared.errors import Conflict, Forbidden, InvalidRequest, NotFound, Unavailable

PAGE_ROOM = PAGE_BYTES_MAX - 16 * 1024  # bytes of an answer for its messages
NO_SESSION = "There is no such session."
NO_MESSAGE = "There is no such message."


class Queries:
    """Answers queries in a transaction of the caller."""

    def __init__(self, reader: SessionReader) -> None:
        self._reader = reader
        self._answers: dict[type[Payload], Callable[[Connection, Any], Model]] = {
            q.JoinSession: self._join,
            q.ReadSession: self._session,
            q.ReadMessage: self._message,
            q.ReadAnswer: self._answer_to,
            q.ReadChanges: self._changes,
            q.ReadHeads: self._heads,
            q.ReadHistory: self._history,
            q.ListSessions: self._sessions,
            q.ListChatbots: self._chatbots,
            q.IsTurnOpen: self._turn,
            q.SearchMessages: self._search,
            q.ExportUser: self._export,
        }

    def answer(self, connection: Connection, query: Payload) -> Model:
        """Return the result of a query.

        Raises:
            NotFound: the session is missing, or the user is not a member.
            Forbidden: the scopes of a service do not allow it.
            Conflict: the cursor is ahead of the session.
            InvalidRequest: parameters exclude each other, or a cursor is not valid.
            Unavailable: no catalogue is stored yet, or a search took too long.
        """
        return self._answers[type(query)](connection, query)

    def _join(self, connection: Connection, query: q.JoinSession) -> q.JoinResult:
        session, read_seq = self._readable(connection, query)
        if query.after_seq is None:
            messages, has_more = self._newest(connection, session.id, None, query.limit)
            last_seq = session.last_seq
        else:
            if query.after_seq > session.last_seq:
                raise Conflict("This session is not as far as your cursor: load it again.")
            messages, has_more, last_seq = self._after(connection, session, query.after_seq, query.limit)
        return q.JoinResult(
            session=views.own_session(session, _catalogue(connection), read_seq),
            messages=messages,
            has_more=has_more,
            last_seq=last_seq,
            active=self._reader.open_turns(connection, session.id),
        )

    def _changes(self, connection: Connection, query: q.ReadChanges) -> q.ChangesResult:
        session, _ = self._found(connection, query.session_id, None)
        messages, has_more, last_seq = self._after(connection, session, query.after_seq, query.limit)
        return q.ChangesResult(
            session=views.session(session, _catalogue(connection)),
            messages=messages,
            has_more=has_more,
            last_seq=last_seq,
        )

    def _session(self, connection: Connection, query: q.ReadSession) -> q.OwnSessionResult:
        session, read_seq = self._readable(connection, query)
        return q.OwnSessionResult(session=views.own_session(session, _catalogue(connection), read_seq))

    def _message(self, connection: Connection, query: q.ReadMessage) -> q.MessageResult:
        session, _ = self._readable(connection, query)
        message = self._reader.message(connection, session.id, query.message_id)
        if message is None:
            raise NotFound(NO_MESSAGE)
        return q.MessageResult(message=message)

    def _answer_to(self, connection: Connection, query: q.ReadAnswer) -> q.AnswerResult:
        session, _ = self._readable(connection, query)
        message = self._reader.message(connection, session.id, query.message_id)
        if message is None:
            raise NotFound(NO_MESSAGE)
        replies, ended = replies_to(connection, message)
        return q.AnswerResult(message=message, replies=replies, ended=ended)

    def _history(self, connection: Connection, query: q.ReadHistory) -> q.HistoryResult:
        if query.before_seq is not None and query.after_seq is not None:
            raise InvalidRequest("Give before_seq or after_seq, not both.")
        session, _ = self._readable(connection, query)
        if query.after_seq is None:
            messages, has_more = self._newest(connection, session.id, query.before_seq, query.limit)
        else:
            rows = self._reader.following(connection, session.id, query.after_seq, query.limit, PAGE_ROOM)
            messages = fitting(rows, query.limit)
            has_more = bool(messages) and self._reader.has_later(connection, session.id, "seq", messages[-1].seq)
        return q.HistoryResult(messages=messages, has_more=has_more)

    def _newest(
        self, connection: Connection, session_id: UUID, below: int | None, limit: int
    ) -> tuple[list[Message], bool]:
        rows = self._reader.newest(connection, session_id, below, limit, PAGE_ROOM)
        messages = fitting(rows[::-1], limit)[::-1]
        return messages, bool(messages) and self._reader.has_earlier(connection, session_id, messages[0].seq)

    def _after(
        self, connection: Connection, session: SessionState, after: int, limit: int
    ) -> tuple[list[Message], bool, int]:
        rows = self._reader.changed(connection, session.id, after, limit, PAGE_ROOM)
        messages = fitting(rows, limit)
        newest = messages[-1].updated_seq if messages else session.last_seq
        if messages and self._reader.has_later(connection, session.id, "updated_seq", newest):
            return messages, True, newest
        return messages, False, session.last_seq

    def _heads(self, connection: Connection, query: q.ReadHeads) -> q.HeadsResult:
        heads = self._reader.heads(connection, query.session_ids)
        return q.HeadsResult(heads={str(session_id): seq for session_id, seq in heads.items()})

    def _sessions(self, connection: Connection, query: q.ListSessions) -> q.SessionsResult:
        _check_chat(query)
        request = (q.ListSessions.TYPE, query.user_id)
        after = None if query.cursor is None else read_cursor(query.cursor, *request)
        found = self._reader.sessions_of(connection, query.user_id, after, query.limit + 1)
        page = found[: query.limit]
        catalogue = _catalogue(connection)
        return q.SessionsResult(
            sessions=[views.own_session(session, catalogue, read_seq) for session, read_seq in page],
            next_cursor=cursor(page[-1][0].updated_at, page[-1][0].id, *request) if len(found) > query.limit else None,
        )

    def _chatbots(self, connection: Connection, _query: q.ListChatbots) -> q.ChatbotsResult:
        catalogue = _catalogue(connection)
        if not catalogue.known:
            raise Unavailable("No chatbot has announced itself yet.", retry_after=2.0)
        default = catalogue.default
        cards = sorted(catalogue.cards, key=lambda card: card.id != default)  # stable: the rest keeps its order
        return q.ChatbotsResult(
            chatbots=[
                Chatbot(
                    id=card.id,
                    name=card.name,
                    description=card.description,
                    default=card.id == default,
                    avatar=card.avatar,
                    suggestions=card.suggestions,
                )
                for card in cards
            ]
        )

    def _turn(self, connection: Connection, query: q.IsTurnOpen) -> q.TurnResult:
        return q.TurnResult(open=self._reader.is_open(connection, query.session_id, query.message_id))

    def _search(self, connection: Connection, query: q.SearchMessages) -> q.SearchResult:
        _check_chat(query)
        if query.session_id is not None:
            self._found(connection, query.session_id, query.user_id)
        return search(connection, query)

    def _export(self, connection: Connection, query: q.ExportUser) -> q.ExportResult:
        return export(connection, self._reader, _catalogue(connection), query)

    def _readable(self, connection: Connection, query: Any) -> tuple[SessionState, int]:
        """Return the session of a query by a member, or by a service that may read every session."""
        if not may_read_all(query.scopes):
            found = self._found(connection, query.session_id, query.user_id)
            _check_chat(query)
            return found
        own = self._reader.session(connection, query.session_id, query.user_id)
        return own or self._found(connection, query.session_id, None)

    def _found(self, connection: Connection, session_id: UUID, user_id: str | None) -> tuple[SessionState, int]:
        found = self._reader.session(connection, session_id, user_id)
        if found is None:
            raise NotFound(NO_SESSION)
        return found


def _check_chat(query: q.JoinSession | q.ReadHistory | q.ListSessions | q.SearchMessages) -> None:
    """Check that a service may do what a user may."""
    if not may_chat(query.scopes):
        raise Forbidden(f"The scope `{CHAT}` was not granted.")


def fitting(messages: list[Message], limit: int) -> list[Message]:
    """Return the first messages whose JSON fits into an answer: at least one, at most `limit`."""
    room = PAGE_ROOM
    for n, message in enumerate(messages[:limit]):
        room -= len(message.to_json())
        if room < 0 and n:
            return messages[:n]
    return messages[:limit]


def _catalogue(connection: Connection) -> Catalogue:
    catalogue = Catalogue()
    catalogue.replace(load_catalogue(connection))
    return catalogue

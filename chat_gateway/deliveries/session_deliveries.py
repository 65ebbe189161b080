"""Events routed by session: passed to the sockets that have joined it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chat_gateway.domain.streamed_replies import DeltaName, StreamedReplies
from chat_gateway.sessions.catch_up import CatchUp
from chat_gateway.sessions.pacing import Pacing
from chat_gateway.sessions.presence import PresenceTracker
from chat_gateway.sessions.registry import SessionRegistry
from chat_gateway.sessions.session_state import ServedSession
from chat_gateway.transport import frames
from shared.contracts.events import (
    MessageStored,
    MessageUpdated,
    PeoplePresent,
    ReadMarked,
    ReasoningStreamed,
    ReplyStreamed,
    SessionDeleted,
    SessionHead,
    SessionUpdated,
    TypingChanged,
)

SHOW_EVERY = 1.0  # seconds between two `typing`, or two `read`, of one user in one session

SignalKey = tuple[str, str, str]  # `typing` or `read`, the session's id, the user's id
SessionHandler = Callable[[ServedSession, dict[str, Any]], None]


class SessionDeliveries:
    """The handlers of events whose routing key is a session's partition."""

    def __init__(
        self, registry: SessionRegistry, catch_up: CatchUp, replies: StreamedReplies, presence: PresenceTracker
    ) -> None:
        self._registry = registry
        self._catch_up = catch_up
        self._replies = replies
        self._presence = presence
        self._pacing: Pacing[SignalKey, dict[str, Any]] = Pacing(SHOW_EVERY, self._show_signal)
        self.handlers: dict[str, SessionHandler] = {
            MessageStored.TYPE: self._message_stored,
            MessageUpdated.TYPE: self._message_updated,
            SessionUpdated.TYPE: self._session_updated,
            SessionDeleted.TYPE: self._session_deleted,
            SessionHead.TYPE: self._session_head,
            ReplyStreamed.TYPE: self._reply_streamed,
            ReasoningStreamed.TYPE: self._reasoning_streamed,
            TypingChanged.TYPE: self._typing_changed,
            ReadMarked.TYPE: self._read_marked,
            PeoplePresent.TYPE: presence.received,
        }

    def close(self) -> None:
        """Cancel the timers of paced signals."""
        self._pacing.close()

    def _message_stored(self, session: ServedSession, data: dict[str, Any]) -> None:
        message = data["message"]
        self._catch_up.changed(session, message["updated_seq"], ("message", message))

    def _message_updated(self, session: ServedSession, data: dict[str, Any]) -> None:
        message = data["message"]
        self._catch_up.changed(session, message["updated_seq"], ("message_updated", message))

    def _session_updated(self, session: ServedSession, data: dict[str, Any]) -> None:
        view = data["session"]
        if view["seq"] > 0:  # the creation of a session has no sequence number
            self._catch_up.changed(session, view["seq"], ("session_updated", view))
            self._presence.changed(session.key)

    def _session_deleted(self, session: ServedSession, data: dict[str, Any]) -> None:
        # Only for a deleted session. Present and former members are notified by a user delivery; services that follow
        # the session without being members are notified here.
        if data["whole"]:
            joined = self._registry.forget(session)
            observers = [each for each in joined if each.user_id not in data["users"]]
            frames.send_all(observers, frames.event("session_deleted", {"session_id": session.key}))

    def _session_head(self, session: ServedSession, data: dict[str, Any]) -> None:
        self._catch_up.head_announced(session, data["last_seq"])

    def _reply_streamed(self, session: ServedSession, data: dict[str, Any]) -> None:
        self._streamed(session, "message_delta", data)

    def _reasoning_streamed(self, session: ServedSession, data: dict[str, Any]) -> None:
        self._streamed(session, "reasoning_delta", data)

    def _streamed(self, session: ServedSession, name: DeltaName, data: dict[str, Any]) -> None:
        reply = self._replies.streamed(
            session.key,
            data["message_id"],
            data["chatbot_id"],
            data["attempt"],
            data["offset"],
            data["text"],
            snapshot=data["snapshot"],
            name=name,
        )
        if reply is not None and session.subscribers:
            session.stream(reply, data)

    def _typing_changed(self, session: ServedSession, data: dict[str, Any]) -> None:
        if data["sender_type"] == "user":
            self._pacing.offer(("typing", session.key, data["sender_id"]), data)
        elif joined := session.joined():
            frames.send_all(joined, frames.event("typing", data))

    def _read_marked(self, session: ServedSession, data: dict[str, Any]) -> None:
        self._pacing.offer(("read", session.key, data["user_id"]), data)

    def _show_signal(self, shown: SignalKey, data: dict[str, Any]) -> None:
        """Send a signal to the sockets that have joined by now, unless its user is not a known member."""
        name, key, user = shown
        session = self._registry.find(key)
        if session is not None and user in session.members and (joined := session.joined()):
            frames.send_all(joined, frames.event(name, data))

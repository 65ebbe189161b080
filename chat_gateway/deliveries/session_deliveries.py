"""What is told of a session: to the sockets that have joined it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chat_gateway.domain.streamed_replies import StreamedReplies
from chat_gateway.sessions.catch_up import CatchUp
from chat_gateway.sessions.pacing import Pacing
from chat_gateway.sessions.presence import PresenceTracker
from chat_gateway.sessions.registry import SessionRegistry
from chat_gateway.transport import frames
from shared.contracts.events import (
    MessageStored,
    MessageUpdated,
    PeoplePresent,
    ReadMarked,
    ReplyStreamed,
    SessionDeleted,
    SessionHead,
    SessionUpdated,
    TypingChanged,
)

SHOW_EVERY = 1.0  # seconds between two `typing`, or two `read`, of one user in one session

Shown = tuple[str, str, str]  # `typing` or `read`, the session's id, the user's


class SessionDeliveries:
    """Passes deliveries with a session's key on."""

    def __init__(
        self, registry: SessionRegistry, catch_up: CatchUp, replies: StreamedReplies, presence: PresenceTracker
    ) -> None:
        self._registry = registry
        self._catch_up = catch_up
        self._replies = replies
        self._presence = presence
        self._pacing: Pacing[Shown, dict[str, Any]] = Pacing(SHOW_EVERY, self._show)
        self.handlers: dict[str, Callable[[dict[str, Any]], None]] = {
            MessageStored.TYPE: self._message_stored,
            MessageUpdated.TYPE: self._message_updated,
            SessionUpdated.TYPE: self._session_updated,
            SessionDeleted.TYPE: self._session_deleted,
            SessionHead.TYPE: self._session_head,
            ReplyStreamed.TYPE: self._reply_streamed,
            TypingChanged.TYPE: self._typing_changed,
            ReadMarked.TYPE: self._read_marked,
            PeoplePresent.TYPE: presence.received,
        }

    def close(self) -> None:
        """Show nothing more."""
        self._pacing.close()

    def _message_stored(self, data: dict[str, Any]) -> None:
        self._message_changed("message", data["message"])

    def _message_updated(self, data: dict[str, Any]) -> None:
        self._message_changed("message_updated", data["message"])

    def _message_changed(self, name: str, message: dict[str, Any]) -> None:
        session = self._registry.find(message["session_id"])
        if session is not None:
            self._catch_up.changed(session, message["updated_seq"], (name, message))

    def _session_updated(self, data: dict[str, Any]) -> None:
        view = data["session"]
        session = self._registry.find(view["id"])
        if session is not None and view["seq"] > 0:  # creation takes no number
            self._catch_up.changed(session, view["seq"], ("session_updated", view))
            self._presence.changed(session.key)

    def _session_deleted(self, data: dict[str, Any]) -> None:
        """Whole: served no more. Its users are told by their own keys, as those who only ceased to be members."""
        session = self._registry.find(data["session_id"])
        if session is not None and data["whole"]:
            self._registry.forget(session)

    def _session_head(self, data: dict[str, Any]) -> None:
        session = self._registry.find(data["session_id"])
        if session is not None:
            self._catch_up.head_announced(session, data["last_seq"])

    def _reply_streamed(self, data: dict[str, Any]) -> None:
        session = self._registry.find(data["session_id"])
        if session is None:
            return
        reply = self._replies.streamed(
            session.key,
            data["message_id"],
            data["chatbot_id"],
            data["attempt"],
            data["offset"],
            data["text"],
            snapshot=data["snapshot"],
        )
        if reply is not None and session.subscribers:
            session.stream(reply, data)

    def _typing_changed(self, data: dict[str, Any]) -> None:
        if data["sender_type"] == "user":
            self._pacing.offer(("typing", data["session_id"], data["sender_id"]), data)
        elif (session := self._registry.find(data["session_id"])) is not None and (joined := session.joined()):
            frames.send_all(joined, frames.event("typing", data))

    def _read_marked(self, data: dict[str, Any]) -> None:
        self._pacing.offer(("read", data["session_id"], data["user_id"]), data)

    def _show(self, shown: Shown, data: dict[str, Any]) -> None:
        """To whoever has joined by now; nothing of somebody who is no member (any more, or as far as is known here)."""
        name, key, user = shown
        session = self._registry.find(key)
        if session is not None and user in session.members and (joined := session.joined()):
            frames.send_all(joined, frames.event(name, data))

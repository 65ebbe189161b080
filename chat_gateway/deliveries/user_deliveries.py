"""Events routed by user: passed to all sockets of the user, and to the streams that they concern."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from chat_gateway.events.budgets import Budgets
from chat_gateway.sessions.connected_users import ConnectedUsers
from chat_gateway.sessions.pending_messages import PendingMessages
from chat_gateway.sessions.registry import SessionRegistry
from chat_gateway.sockets.recipients import ConnectedClient
from chat_gateway.transport import frames
from shared.contracts import ids
from shared.contracts.events import MessageRejected, SessionActivity, SessionDeleted, SessionUpdated, UserSpent
from shared.contracts.topology import user_key


class UserDeliveries:
    """The handlers of events whose routing key is a user bucket.

    An event may name users of several buckets and is then delivered once for each bucket; a delivery concerns only the
    users of its bucket.
    """

    def __init__(
        self,
        registry: SessionRegistry,
        pending_messages: PendingMessages,
        connected_users: ConnectedUsers,
        budgets: Budgets,
        partitions: int,
    ) -> None:
        self._registry = registry
        self._pending_messages = pending_messages
        self._connected_users = connected_users
        self._partitions = partitions
        self.handlers: dict[str, Callable[[dict[str, Any], str], None]] = {
            SessionUpdated.TYPE: self._session_updated,
            SessionDeleted.TYPE: self._session_deleted,
            SessionActivity.TYPE: self._session_activity,
            MessageRejected.TYPE: self._message_rejected,
            UserSpent.TYPE: lambda data, _bucket: budgets.spent_elsewhere(data),
        }

    def _session_updated(self, data: dict[str, Any], bucket: str) -> None:
        view = data["session"]
        self._to_not_joined(view["id"], view["users"], bucket, "session_updated", view)

    def _session_activity(self, data: dict[str, Any], bucket: str) -> None:
        shown = {name: data[name] for name in ("session_id", "last_seq", "updated_at")}
        self._to_not_joined(data["session_id"], data["users"], bucket, "session_activity", shown)

    def _session_deleted(self, data: dict[str, Any], bucket: str) -> None:
        """Unsubscribe the users' sockets, so that `session_deleted` is the last event; not those that joined since."""
        key = data["session_id"]
        number = data.get("seq")
        frame: frames.Frame | None = None
        for user in data["users"]:
            session = self._registry.find(key)
            if session is not None and session.remove_member(user, number):
                self._registry.touch(session)
            for socket in self._sockets(user, bucket):
                if (session is not None and session.has_joined(socket)) or socket.follows not in (None, key):
                    continue
                frame = frame or frames.event("session_deleted", {"session_id": key})
                socket.send(frame)

    def _to_not_joined(self, key: str, users: list[str], bucket: str, name: str, payload: dict[str, Any]) -> None:
        """Send to the sockets that have not joined; joined ones receive the change in order from the cursor.

        A stream of one session receives its changes from the cursor alone.
        """
        session = self._registry.find(key)
        frame: frames.Frame | None = None
        for user in users:
            for socket in self._sockets(user, bucket):
                if socket.follows is None and (session is None or not session.has_joined(socket)):
                    frame = frame or frames.event(name, payload)
                    socket.send(frame)

    def _sockets(self, user: str, bucket: str) -> Iterator[ConnectedClient]:
        for socket in self._connected_users.sockets(user):
            if user_key(ids.bucket(user, self._partitions)) != bucket:
                return
            yield socket

    def _message_rejected(self, data: dict[str, Any], _bucket: str) -> None:
        shown = {name: data[name] for name in ("session_id", "message_id", "client_message_id", "code")}
        self._pending_messages.resolved(data["message_id"])
        receivers = self._connected_users.sockets(data["user_id"])
        concerned = [each for each in receivers if each.follows in (None, data["session_id"])]
        frames.send_all(concerned, frames.event("message_rejected", shown))

"""Deliveries: what persistence and the chatbots tell this gateway, and to whom it goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import structlog

from chat_gateway import emission
from chat_gateway.accepted import Accepted
from chat_gateway.bindings import Bindings
from chat_gateway.following import Following
from chat_gateway.metrics import Metrics
from chat_gateway.presence import Presence
from chat_gateway.registry import Registry
from chat_gateway.replies import Replies
from chat_gateway.sending import Sending
from shared.bus.port import Bus, Delivery
from shared.contracts import ids
from shared.contracts.envelope import MalformedEvent, Received, read_body
from shared.contracts.events import (
    MessageRejected,
    MessageStored,
    ReplyStreamed,
    SessionActivity,
    SessionHead,
    SessionUpdated,
    TypingChanged,
)
from shared.contracts.topology import delivery_queue, user_key

logger = structlog.get_logger(__name__)

PREFETCH = 500  # bodies
TAKE = 500  # bodies at once
BREATH = 500  # events or KiB, then the sockets' writers get a turn


class Deliveries:
    """The consumer of this gateway's own queue."""

    def __init__(
        self,
        bus: Bus,
        bindings: Bindings,
        registry: Registry,
        following: Following,
        replies: Replies,
        accepted: Accepted,
        sending: Sending,
        presence: Presence,
        metrics: Metrics,
        partitions: int,
    ) -> None:
        self._bus = bus
        self._bindings = bindings
        self._registry = registry
        self._following = following
        self._replies = replies
        self._accepted = accepted
        self._sending = sending
        self._gap: asyncio.Task[None] | None = None
        self._presence = presence
        self._partitions = partitions
        self._gaps = metrics.gaps
        self._malformed = metrics.delivered.labels("malformed")
        self._of_session: dict[str, Callable[[dict[str, Any]], None]] = {
            MessageStored.TYPE: self._message_stored,
            SessionUpdated.TYPE: self._session_updated,
            SessionHead.TYPE: self._session_head,
            ReplyStreamed.TYPE: self._reply_streamed,
            TypingChanged.TYPE: self._typing_changed,
        }
        self._of_user: dict[str, Callable[[dict[str, Any], str], None]] = {
            SessionUpdated.TYPE: self._users_session_updated,
            SessionActivity.TYPE: self._session_activity,
            MessageRejected.TYPE: self._message_rejected,
        }
        self._counters = {kind: metrics.delivered.labels(kind) for kind in (*self._of_session, *self._of_user)}

    async def run(self, name: str) -> None:
        """Consume for ever."""
        subscription = await self._bus.subscribe(delivery_queue(name), prefetch=PREFETCH)
        self._bindings.ready(subscription)
        while True:
            batch = await subscription.take(TAKE)
            if batch.gap:
                self._gaps.inc()
                self._following.doubt()
                self._send_again()
            taken = 0
            for delivery in batch.deliveries:
                taken += self.take(delivery) + len(delivery.body) // 1024
                if taken >= BREATH:
                    taken = 0
                    await asyncio.sleep(0)
            await subscription.ack(batch.deliveries)

    def _send_again(self) -> None:
        """A rejection may have been lost with the rest, and no number shows that."""
        if self._gap is not None:
            self._gap.cancel()  # the newer gap covers what the older one does
        self._gap = asyncio.create_task(self._sending.again(time.monotonic()), name="unheard of")

    def close(self) -> None:
        """Stop what is under way."""
        if self._gap is not None:
            self._gap.cancel()

    def take(self, delivery: Delivery) -> int:
        """Pass on what is in one body, how many events; what does not parse is counted and left."""
        try:
            events = read_body(delivery.body)
        except MalformedEvent:
            self._malformed.inc()
            return 1
        of_users = delivery.key.startswith("u.")
        for event in events:
            try:
                self._one(event, delivery.key if of_users else None)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                self._malformed.inc()
                logger.warning("event of an unknown form", type=event.type, reason=type(error).__name__)
        return len(events)

    def _one(self, event: Received, user_bucket: str | None) -> None:
        if user_bucket is not None:
            to_users = self._of_user.get(event.type)
            if to_users is not None:
                self._counters[event.type].inc()
                to_users(event.data, user_bucket)
            return
        if self._registry.find(event.subject) is None:
            return
        to_session = self._of_session.get(event.type)
        if to_session is not None:
            self._counters[event.type].inc()
            to_session(event.data)

    def _message_stored(self, data: dict[str, Any]) -> None:
        message = data["message"]
        session = self._registry.find(message["session_id"])
        if session is not None:
            self._following.changed(session, message["updated_seq"], ("message", message))

    def _session_updated(self, data: dict[str, Any]) -> None:
        view = data["session"]
        session = self._registry.find(view["id"])
        if session is not None and view["seq"] > 0:  # creation takes no number
            self._following.changed(session, view["seq"], ("session_updated", view))

    def _session_head(self, data: dict[str, Any]) -> None:
        session = self._registry.find(data["session_id"])
        if session is not None:
            self._following.told(session, data["last_seq"])

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
        session = self._registry.find(data["session_id"])
        if session is not None and (joined := session.joined()):
            emission.send_all(joined, emission.event("typing", data))

    def _users_session_updated(self, data: dict[str, Any], bucket: str) -> None:
        view = data["session"]
        self._to_not_joined(view["id"], view["users"], bucket, "session_updated", view)

    def _session_activity(self, data: dict[str, Any], bucket: str) -> None:
        shown = {name: data[name] for name in ("session_id", "last_seq", "updated_at")}
        self._to_not_joined(data["session_id"], data["users"], bucket, "session_activity", shown)

    def _to_not_joined(self, key: str, users: list[str], bucket: str, name: str, payload: dict[str, Any]) -> None:
        """To the sockets that have not joined; the others get the change through the cursor, in its place."""
        session = self._registry.find(key)
        frame: emission.Frame | None = None
        for user in users:
            for socket in self._presence.sockets(user):
                if user_key(ids.bucket(user, self._partitions)) != bucket:
                    break
                if session is None or not session.has_joined(socket):
                    frame = frame or emission.event(name, payload)
                    socket.send(frame)

    def _message_rejected(self, data: dict[str, Any], _bucket: str) -> None:
        shown = {name: data[name] for name in ("session_id", "message_id", "client_message_id", "code")}
        self._accepted.settled(data["message_id"])
        emission.send_all(list(self._presence.sockets(data["user_id"])), emission.event("message_rejected", shown))

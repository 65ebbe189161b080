"""`send_message`: published in the order in which a socket sent to a session, acked when the bus holds the command."""

from __future__ import annotations

import asyncio
import contextlib
import time
from functools import partial
from typing import Any

import structlog

from chat_gateway.events.calls import Call, overload_retry_after
from chat_gateway.protocol import payloads
from chat_gateway.sessions.joining import Sessions
from chat_gateway.sessions.pending_messages import PendingMessages
from chat_gateway.sessions.persistence_client import SOURCE
from chat_gateway.sessions.session_state import ServedSession
from chat_gateway.sockets.caller import Caller
from shared.bus.port import Bus
from shared.contracts import ids
from shared.contracts.commands import SendMessage
from shared.contracts.envelope import Event
from shared.contracts.payload import rfc3339_now
from shared.contracts.topology import log
from shared.errors import BackchatError, Internal, Unavailable

logger = structlog.get_logger(__name__)

CONGESTED_MIN = 256  # publications in flight; with fewer, the age of the oldest says nothing about load
PUBLISH_LAG_MAX = 1.0  # seconds that the oldest publication may take before new messages are refused
REFUSE_OVERDUE_EVERY = 0.1  # seconds between two refusals of calls past their deadline
REPUBLISH_AFTER = 5.0  # seconds after a gap; until then catch-up reads find the messages that are stored
REPUBLISH_BATCH = 256  # messages in one publication


class MessagePublisher:
    """Publishes messages to the log."""

    def __init__(self, bus: Bus, sessions: Sessions, pending_messages: PendingMessages, partitions: int) -> None:
        self._bus = bus
        self._sessions = sessions
        self._pending_messages = pending_messages
        self._partitions = partitions
        self._log = log(partitions)
        self._publications: dict[asyncio.Future[None], Call] = {}  # in progress, in the order in which they began
        self._overdue_timer: asyncio.TimerHandle | None = None  # while there are publications

    def check_capacity(self) -> None:
        """Check that the log and its consumers keep up.

        Raises:
            Unavailable: publishing or storing is too slow to take one more message.
        """
        if self._congested():
            raise Unavailable("Messages are published too slowly.", retry_after=overload_retry_after())
        if self._pending_messages.is_backlogged():
            raise Unavailable("Messages are stored too slowly.", retry_after=overload_retry_after())

    def send(self, call: Call, request: payloads.SendMessage) -> None:
        """Publish a message, at once if the session is loaded, else in its lane after loading the session."""
        socket, key = call.caller, str(request.session_id)
        if not socket.lanes.busy(key):
            session = self._sessions.use(key)
            if session is not None and session.loaded and self._may_write(session, socket):
                self._publish(call, request, key)
                return
        socket.lanes.put(key, partial(call.run, partial(self._load_and_publish, call, request)))

    @staticmethod
    def _may_write(session: ServedSession, caller: Caller) -> bool:
        return caller.user_id in session.members or caller.identity.writes_all

    async def _load_and_publish(self, call: Call, request: payloads.SendMessage) -> None:
        identity = call.caller.identity
        await self._sessions.load_for(request.session_id, identity, call.remaining, also_if=identity.writes_all)
        self._publish(call, request, str(request.session_id))

    def _publish(self, call: Call, request: payloads.SendMessage, subject: str) -> None:
        user, session_id = call.caller.user_id, request.session_id
        message_id = ids.message_id(subject, user, request.client_message_id)
        now = rfc3339_now()
        command = SendMessage(
            session_id=session_id,
            message_id=message_id,
            user_id=user,
            content=request.content,
            client_message_id=request.client_message_id,
            reply_to=request.reply_to,
            created_at=now,
            scopes=call.caller.identity.scope_names,
        )
        event = Event(source=SOURCE, data=command, subject=subject, time=now)
        key = str(ids.partition(session_id, self._partitions))
        fields: dict[str, Any] = {
            "message_id": str(message_id),
            "client_message_id": request.client_message_id,
            "status": "accepted",
        }
        published = asyncio.ensure_future(self._bus.publish(self._log, key, event))
        self._publications[published] = call
        if self._overdue_timer is None:
            self._refuse_overdue_later()
        published.add_done_callback(partial(self._published, event, fields))
        # Added now, because the message may be stored before the publication is confirmed.
        self._pending_messages.add(fields["message_id"], key, event, len(request.content), call.arrived_at)

    def _refuse_overdue_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._overdue_timer = loop.call_later(REFUSE_OVERDUE_EVERY, self._refuse_overdue)

    def _refuse_overdue(self) -> None:
        """Refuse the calls past their deadline: one timer for all publications, instead of one for each."""
        for call in self._publications.values():
            if call.overdue:
                call.refuse(Unavailable())
        self._overdue_timer = None
        if self._publications:
            self._refuse_overdue_later()

    async def republish_pending(self, accepted_before: float) -> None:
        """Publish again the pending messages that were accepted before a gap in the deliveries (monotonic seconds).

        Their rejection may have been lost in the gap. A stored message is not stored twice; a rejected one is rejected
        again and this time its author is notified (contract P1).
        """
        await asyncio.sleep(REPUBLISH_AFTER)
        while not self._pending_messages.is_progressing():  # noqa: ASYNC110 - no event says so
            await asyncio.sleep(REPUBLISH_AFTER)
        pending = self._pending_messages.accepted_before(accepted_before)
        for at in range(0, len(pending), REPUBLISH_BATCH):
            batch = [(self._log, message.key, message.event) for message in pending[at : at + REPUBLISH_BATCH]]
            with contextlib.suppress(BackchatError):  # they stay pending until the next gap
                await self._bus.publish_all(batch)

    def _congested(self) -> bool:
        publications = self._publications
        return (
            len(publications) >= CONGESTED_MIN
            and time.monotonic() - next(iter(publications.values())).arrived_at > PUBLISH_LAG_MAX
        )

    def _published(self, event: Event, fields: dict[str, Any], published: asyncio.Future[None]) -> None:
        call = self._publications.pop(published)
        error = Unavailable() if published.cancelled() else published.exception()
        if error is None:
            call.accept(fields)
            return
        self._pending_messages.withdraw(fields["message_id"], event)
        if isinstance(error, BackchatError):
            call.refuse(error)
        else:
            logger.error("message.publish_failed", exc_info=error)
            call.refuse(Internal())

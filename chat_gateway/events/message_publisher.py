"""`send_message`: published in the order in which a socket sent to a session, acked when the bus holds it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from functools import partial
from typing import Any

import structlog

from chat_gateway.events.calls import Call, overload_retry_after
from chat_gateway.protocol import payloads
from chat_gateway.sessions.joining import Sessions
from chat_gateway.sessions.pending_messages import PendingMessages
from chat_gateway.sessions.persistence_client import SOURCE
from shared.bus.port import Bus
from shared.contracts import ids
from shared.contracts.commands import SendMessage
from shared.contracts.envelope import Event
from shared.contracts.payload import utc_now
from shared.contracts.topology import log
from shared.errors import BackchatError, Internal, Unavailable

logger = structlog.get_logger(__name__)

CONGESTED_MIN = 256  # publications under way; with fewer, the age of the oldest says nothing about load
REPUBLISH_AFTER = 5.0  # seconds after a gap in which reads show what of it is stored
PUBLISH_LAG_MAX = 1.0  # seconds that the oldest may take before newer ones are refused


class MessagePublisher:
    """Puts messages into the log."""

    def __init__(self, bus: Bus, sessions: Sessions, pending_messages: PendingMessages, partitions: int) -> None:
        self._bus = bus
        self._sessions = sessions
        self._pending_messages = pending_messages
        self._partitions = partitions
        self._log = log(partitions)
        self._publications: OrderedDict[asyncio.Future[None], float] = OrderedDict()  # with the time of publication

    def check_capacity(self) -> None:
        """Whether there is time for one more message.

        Raises:
            Unavailable: the log, or those who work it off, do not keep up.
        """
        if self._congested():
            raise Unavailable("The log does not keep up.", retry_after=overload_retry_after())
        if self._pending_messages.is_backlogged():
            raise Unavailable("What was accepted is not stored fast enough.", retry_after=overload_retry_after())

    def send(self, call: Call, request: payloads.SendMessage) -> None:
        """Begin at once where possible; what has to wait for its session keeps its place."""
        socket, key = call.socket, str(request.session_id)
        if not socket.lanes.busy(key):
            session = self._sessions.use(key)
            if session is not None and session.loaded and socket.user_id in session.members:
                self._publish(call, request)
                return
        socket.lanes.put(key, partial(self._load_and_publish, call, request))

    async def _load_and_publish(self, call: Call, request: payloads.SendMessage) -> None:
        try:
            if call.overdue:  # it has waited in its lane
                raise Unavailable
            async with asyncio.timeout(call.remaining):
                await self._sessions.load_for(request.session_id, call.socket.user_id, call.remaining)
            self._publish(call, request)
        except BackchatError as error:
            call.refuse(error)
        except TimeoutError:
            call.refuse(Unavailable())
        except Exception:
            logger.exception("an event failed", name=call.event)
            call.refuse(Internal())

    def _publish(self, call: Call, request: payloads.SendMessage) -> None:
        user, session_id = call.socket.user_id, request.session_id
        message_id = ids.message_id(session_id, user, request.client_message_id)
        command = SendMessage(
            session_id=session_id,
            message_id=message_id,
            user_id=user,
            content=request.content,
            client_message_id=request.client_message_id,
            reply_to=request.reply_to,
            created_at=utc_now(),
        )
        event = Event(source=SOURCE, data=command, subject=str(session_id))
        key = str(ids.partition(session_id, self._partitions))
        fields: dict[str, Any] = {
            "message_id": str(message_id),
            "client_message_id": request.client_message_id,
            "status": "accepted",
        }
        published = asyncio.ensure_future(self._bus.publish(self._log, key, event))
        timer = asyncio.get_running_loop().call_later(call.remaining, call.refuse, Unavailable())
        self._publications[published] = call.arrived_at
        published.add_done_callback(partial(self._published, call, event, fields, timer))
        self._pending_messages.add(
            fields["message_id"], key, event, len(request.content)
        )  # stored may come before held

    async def republish_pending(self, before: float) -> None:
        """Publish once more what was accepted before a gap in the deliveries, and of which nothing was heard.

        What is stored stays as it is; what was rejected is rejected again, this time heard (contract P1).
        """
        await asyncio.sleep(REPUBLISH_AFTER)
        while not self._pending_messages.is_progressing():  # noqa: ASYNC110 - nobody tells; it is looked at
            await asyncio.sleep(REPUBLISH_AFTER)
        pending = self._pending_messages.accepted_before(before)
        for at in range(0, len(pending), CONGESTED_MIN):
            publications = [(self._log, waiting.key, waiting.event) for waiting in pending[at : at + CONGESTED_MIN]]
            with contextlib.suppress(BackchatError):  # told at the next gap, or never: it stays what it is
                await self._bus.publish_all(publications)

    def _congested(self) -> bool:
        """Whether what was taken waits for so long that what came on top would only run out of time."""
        publications = self._publications
        return (
            len(publications) >= CONGESTED_MIN
            and time.monotonic() - next(iter(publications.values())) > PUBLISH_LAG_MAX
        )

    def _published(
        self,
        call: Call,
        event: Event,
        fields: dict[str, Any],
        timer: asyncio.TimerHandle,
        published: asyncio.Future[None],
    ) -> None:
        del self._publications[published]
        timer.cancel()
        error = Unavailable() if published.cancelled() else published.exception()
        if error is None:
            call.accept(fields)
            return
        self._pending_messages.withdraw(fields["message_id"], event)
        if isinstance(error, BackchatError):
            call.refuse(error)
        else:
            logger.error("a publication failed", exc_info=error)
            call.refuse(Internal())

"""Client events: each is checked, done, and answered exactly once. What each one does, its noun's module says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from functools import partial
from typing import Any, Protocol

import structlog

from chat_gateway.events.budgets import Budgets
from chat_gateway.events.calls import Call, Calls, Handler
from chat_gateway.events.message_publisher import MessagePublisher
from chat_gateway.protocol import parsing, payloads
from chat_gateway.sessions.joining import Sessions
from chat_gateway.sockets.socket import Socket
from shared.errors import BackchatError, Internal, InvalidRequest, Unavailable

logger = structlog.get_logger(__name__)

# A page may be large: a socket gets one at a time, and what waits costs no task.
READS = (payloads.JoinChat, payloads.GetMessages, payloads.ListChats, payloads.SearchMessages)
READ_LANE = "reading"  # the lane of these, beside those of sessions
SEND_MESSAGE = "send_message"
RETRY_AFTER_STOP = 1.0  # seconds, `retry_after` of what a stopping gateway refuses


class EventHandlers(Protocol):
    """What can be done with one kind of thing."""

    @property
    def handlers(self) -> Mapping[type[payloads.ClientPayload], Handler]:
        """What does each event."""


class ClientEvents:
    """Takes the events of all sockets."""

    def __init__(
        self,
        calls: Calls,
        publisher: MessagePublisher,
        sessions: Sessions,
        budgets: Budgets,
        groups: Iterable[EventHandlers],
    ) -> None:
        self._calls = calls
        self._publisher = publisher
        self._sessions = sessions
        self._budgets = budgets
        self._handlers = {payload: handler for group in groups for payload, handler in group.handlers.items()}
        self._tasks: set[asyncio.Future[None]] = set()
        self.stopping = False

    def take(
        self, socket: Socket, ack_id: int | None, name: Any, arguments: list[Any], arrived_at: float | None = None
    ) -> Awaitable[None] | None:
        """Begin an event; returns at once, so that events begin in the order in which they arrive.

        `arrived_at` is monotonic (in seconds), by default now. What it returns is to be awaited before the next event
        of this socket is taken.
        """
        known = isinstance(name, str) and name in payloads.CLIENT_EVENTS
        call = self._calls.begin(socket, ack_id, name if known else "unknown", arrived_at)
        try:
            self._check_budget(socket)
            if name == SEND_MESSAGE:
                self._publisher.check_capacity()  # first of all: what is refused for want of time should take none
            self._begin(call, parsing.parse(name, arguments))
        except BackchatError as error:
            return self._refuse(call, error)
        except Exception:
            logger.exception("an event failed", name=call.event)
            return self._refuse(call, Internal())
        return None

    def refuse_malformed(self, socket: Socket, ack_id: int) -> Awaitable[None] | None:
        """Answer what is no event; as `take`."""
        call = self._calls.begin(socket, ack_id, "unknown")
        try:
            self._check_budget(socket)
        except BackchatError as error:
            return self._refuse(call, error)
        return self._refuse(call, InvalidRequest("This is no event."))

    def _refuse(self, call: Call, error: BackchatError) -> Awaitable[None] | None:
        hold = self._calls.pause_after_refusal(call.socket, error)
        if error.retry_after is not None:
            error.retry_after = max(error.retry_after, hold)  # who waits as told finds us listening
        call.refuse(error)
        return asyncio.sleep(hold) if hold else None

    def _check_budget(self, socket: Socket) -> None:
        if self.stopping:
            raise Unavailable("This gateway is stopping; connect again.", retry_after=RETRY_AFTER_STOP)
        self._budgets.spend(socket.user_id)
        self._calls.check_capacity(socket)

    def _begin(self, call: Call, payload: payloads.ClientPayload) -> None:
        if isinstance(payload, payloads.SendMessage):
            self._publisher.send(call, payload)
        elif isinstance(payload, READS):
            call.socket.lanes.put(READ_LANE, partial(self._run, call, payload))
        elif isinstance(payload, payloads.Change):
            call.socket.lanes.put(str(payload.session_id), partial(self._publish, call, payload))
        elif not (isinstance(payload, payloads.LeaveChat) and self._leave_joined(call, payload)):
            self._start(call, payload)

    def _start(self, call: Call, payload: payloads.ClientPayload) -> None:
        task = asyncio.create_task(self._run(call, payload), name=call.event)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _publish(self, call: Call, payload: payloads.Change) -> None:
        """Begin a change; what came behind it may begin as soon as its command is with the publisher."""
        self._start(call, payload)
        await asyncio.sleep(0)  # the task runs now, up to where it waits for the answer

    async def _run(self, call: Call, payload: payloads.ClientPayload) -> None:
        try:
            if call.overdue:  # it has waited in its lane
                raise Unavailable
            async with asyncio.timeout(call.remaining):
                if isinstance(payload, READS):
                    await call.socket.connection.wait_until_read()
                await self._handlers[type(payload)](call, payload)
        except BackchatError as error:
            call.refuse(error)
        except TimeoutError:
            call.refuse(Unavailable())
        except Exception:
            logger.exception("an event failed", name=call.event)
            call.refuse(Internal())

    def _leave_joined(self, call: Call, request: payloads.LeaveChat) -> bool:
        """At once, also while a join is under way; false if there is nothing to leave."""
        socket, key = call.socket, str(request.session_id)
        socket.joined.discard(key)
        if left := self._sessions.leave(socket, key):
            call.accept({})
        return left

"""Dispatcher of client events: checks budgets, parses, and calls the handler, in the order of arrival.

Events arrive over two doors: from sockets (`take`) and as requests of the HTTP API (`request`). Both have the same
budgets, payload models, bounds and handlers; they differ only in how the answer returns to the client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any, Protocol

import structlog

from chat_gateway.events.budgets import Budgets
from chat_gateway.events.calls import Call, Calls, Handler, RequestCall
from chat_gateway.events.message_publisher import MessagePublisher
from chat_gateway.identity.authentication import Identity
from chat_gateway.protocol import parsing, payloads
from chat_gateway.sessions.joining import Sessions
from chat_gateway.sockets.caller import Caller
from shared.contracts.scopes import CHAT, may_chat
from shared.errors import BackchatError, Forbidden, Internal, InvalidRequest, Unavailable

logger = structlog.get_logger(__name__)

# Answers may be large, so a socket gets one at a time; queued reads cost no task.
READS = (payloads.JoinChat, payloads.GetMessages, payloads.ListChats, payloads.SearchMessages)
READ_LANE = "reading"  # the caller's lane for `READS`; its other lanes are named after sessions
SEND_MESSAGE = "send_message"
REFRESH_TOKEN = "refresh_token"  # noqa: S105 - the name of an event
WRITING = frozenset({"start_chat", "send_message", "edit_message", "stop_reply", "regenerate_reply", "list_chatbots"})
FOLLOWING = frozenset({"join_chat", "leave_chat", "get_messages", "get_session", "get_message"})
RETRY_AFTER_STOP = 1.0  # seconds, `retry_after` of refusals by a stopping gateway


class EventHandlers(Protocol):
    """The handlers of one group of client events."""

    @property
    def handlers(self) -> Mapping[type[payloads.ClientPayload], Handler]:
        """The handler of each event, by the event's payload model."""


class ClientEvents:
    """Takes the events of all sockets, and the requests of the HTTP API."""

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

    def handles(self, payload: type[payloads.ClientPayload]) -> bool:
        """Whether events with this payload have a handler."""
        return payload is payloads.SendMessage or payload in self._handlers

    def take(
        self, socket: Caller, ack_id: int | None, name: Any, arguments: list[Any], arrived_at: float | None = None
    ) -> Awaitable[None] | None:
        """Begin an event and return at once, so that events begin in the order in which they arrive.

        `arrived_at` is monotonic (seconds; default: now). The result, if any, must be awaited before the next event of
        this socket is taken.
        """
        known = isinstance(name, str) and name in payloads.CLIENT_EVENTS
        call = self._calls.begin(socket, ack_id, name if known else "unknown", arrived_at)
        try:
            self.spend(socket)
            self._calls.check_capacity(socket)
            check_scope(socket.identity, name)
            if name == SEND_MESSAGE:
                self._publisher.check_capacity()  # before parsing: a refusal for overload must cost little CPU
            self._begin(call, parsing.parse(name, arguments))
        except BackchatError as error:
            return self._refuse(call, error)
        except Exception:
            logger.exception("client_event.failed", name=call.event)
            return self._refuse(call, Internal())
        return None

    def request(
        self, caller: Caller, name: str, fields: Mapping[str, Any], *, held: float, if_seq: list[int] | None = None
    ) -> RequestCall:
        """Begin a request of the HTTP API with the fields of an event; its budget is already spent.

        `held`: seconds for which it was held before, within its deadline. `if_seq` is that of `Call`. `answer` of the
        result is a future of the answer's fields.
        """
        call = self._calls.begin_request(caller, name, held)
        call.if_seq = if_seq
        try:
            self._calls.check_capacity(caller)
            if name == SEND_MESSAGE:
                self._publisher.check_capacity()
            payload = parsing.parse_request(name, fields)
            check_scope(caller.identity, name)
            self._begin(call, payload)
        except BackchatError as error:
            call.refuse(error)
        except Exception:
            logger.exception("client_event.failed", name=call.event)
            call.refuse(Internal())
        return call

    def refuse_malformed(self, socket: Caller, ack_id: int) -> Awaitable[None] | None:
        """Refuse a packet that is not an event but has an ack id; the result is as in `take`."""
        call = self._calls.begin(socket, ack_id, "unknown")
        try:
            self.spend(socket)
            self._calls.check_capacity(socket)
        except BackchatError as error:
            return self._refuse(call, error)
        return self._refuse(call, InvalidRequest("This packet is not an event."))

    def _refuse(self, call: Call, error: BackchatError) -> Awaitable[None] | None:
        pause = self.pause_after_refusal(call.caller, error)
        if error.retry_after is not None:
            error.retry_after = max(error.retry_after, pause)  # so that a retry comes when the pause is over
        call.refuse(error)
        return asyncio.sleep(pause) if pause else None

    def pause_after_refusal(self, caller: Caller, error: BackchatError) -> float:
        """Return for how many seconds to stop reading from a client that was just refused; see `Calls`."""
        return self._calls.pause_after_refusal(caller, error)

    def spend(self, caller: Caller) -> None:
        """Spend one event of the budget that a user has over both doors.

        Raises:
            RateLimited: the budget is empty.
            Unavailable: this gateway is stopping.
        """
        if self.stopping:
            raise Unavailable("This gateway is stopping; connect again.", retry_after=RETRY_AFTER_STOP)
        self._budgets.spend(caller.user_id)

    def _begin(self, call: Call, payload: payloads.ClientPayload) -> None:
        if isinstance(payload, payloads.SendMessage):
            self._publisher.send(call, payload)
        elif isinstance(payload, READS):
            call.caller.lanes.put(READ_LANE, partial(self._run, call, payload))
        elif isinstance(payload, payloads.Change):
            call.caller.lanes.put(str(payload.session_id), partial(self._publish, call, payload))
        elif not (isinstance(payload, payloads.LeaveChat) and self._leave_joined(call, payload)):
            self._start(call, payload)

    def _start(self, call: Call, payload: payloads.ClientPayload) -> None:
        task = asyncio.create_task(self._run(call, payload), name=call.event)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _publish(self, call: Call, payload: payloads.Change) -> None:
        """Begin a change. The next work of its lane may begin once the command is with the publisher."""
        self._start(call, payload)
        await asyncio.sleep(0)  # lets the task run up to the point where it awaits the answer

    def _run(self, call: Call, payload: payloads.ClientPayload) -> Coroutine[Any, Any, None]:
        return call.run(partial(self._handle, call, payload))

    async def _handle(self, call: Call, payload: payloads.ClientPayload) -> None:
        if isinstance(payload, READS):
            await call.caller.wait_until_read()
        handler = self._handlers.get(type(payload))
        if handler is None:  # tests/unit/chat_gateway/events/test_completeness.py finds this earlier
            logger.error("client_event.unhandled", name=call.event)
            raise Internal
        await handler(call, payload)

    def _leave_joined(self, call: Call, request: payloads.LeaveChat) -> bool:
        """Leave at once, also while a join is in progress; return whether the socket had joined or was joining."""
        caller, key = call.caller, str(request.session_id)
        caller.joined.discard(key)
        if left := self._sessions.leave(caller, key):
            call.accept({})
        return left


def check_scope(identity: Identity, event: object) -> None:
    """Check that the scopes of a service may allow an event; persistence decides for which sessions they do.

    Raises:
        Forbidden: no scope that allows the event was granted.
    """
    if may_chat(identity.scopes) or event == REFRESH_TOKEN:
        return
    if not (identity.observes and event in FOLLOWING) and not (identity.writes_all and event in WRITING):
        raise Forbidden(f"The scope `{CHAT}` was not granted.")

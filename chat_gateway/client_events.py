"""Client events: each is checked, done, and answered exactly once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import structlog

from chat_gateway import emission, protocol
from chat_gateway.metrics import Metrics
from chat_gateway.presence import Presence
from chat_gateway.questions import SOURCE, Questions
from chat_gateway.sessions import Sessions
from chat_gateway.settings import GatewaySettings
from chat_gateway.sockets import Socket
from shared.bus.port import Bus
from shared.contracts import ids
from shared.contracts.commands import SendMessage, StartSession
from shared.contracts.envelope import Event
from shared.contracts.payload import utc_now
from shared.contracts.queries import ListChatbots, ListSessions, ReadHistory
from shared.contracts.topology import log
from shared.errors import BackchatError, Conflict, Internal, InvalidRequest, RateLimited, Unavailable

logger = structlog.get_logger(__name__)

DEADLINE = 5.7  # seconds for a whole event; the contract promises an answer within 6
COME_BACK = 1.0  # seconds, `retry_after` of what a stopping gateway refuses


class Call:
    """One client event, from its arrival to its ack."""

    __slots__ = ("_metrics", "_settled", "ack_id", "arrived_at", "event", "socket")

    def __init__(self, socket: Socket, ack_id: int | None, event: str, metrics: Metrics) -> None:
        self.socket = socket
        self.ack_id = ack_id
        self.event = event
        self.arrived_at = time.monotonic()
        self._metrics = metrics
        self._settled = False
        socket.in_flight += 1

    @property
    def remaining(self) -> float:
        """Seconds until it has to be answered."""
        return max(0.05, self.arrived_at + DEADLINE - time.monotonic())

    def accept(self, fields: dict[str, Any]) -> None:
        """Answer that it was done."""
        self._settle("ok", protocol.accepted(fields))

    def refuse(self, error: BackchatError) -> None:
        """Answer that it was not done, or that this is unknown."""
        self._settle(error.code, protocol.refused(error))

    def _settle(self, code: str, body: dict[str, Any]) -> None:
        if self._settled:
            return
        self._settled = True
        self.socket.in_flight -= 1
        self._metrics.settled(self.event, code, time.monotonic() - self.arrived_at)
        if self.ack_id is not None:
            self.socket.send(emission.ack(self.ack_id, body))


class ClientEvents:
    """What each event does."""

    def __init__(
        self,
        bus: Bus,
        questions: Questions,
        sessions: Sessions,
        presence: Presence,
        metrics: Metrics,
        settings: GatewaySettings,
    ) -> None:
        self._bus = bus
        self._questions = questions
        self._sessions = sessions
        self._presence = presence
        self._metrics = metrics
        self._settings = settings
        self._log = log(settings.partitions)
        self._tasks: set[asyncio.Future[Any]] = set()
        self._handlers: dict[type[protocol.ClientPayload], Callable[[Call, Any], Awaitable[None]]] = {
            protocol.StartChat: self._start_chat,
            protocol.JoinChat: self._join_chat,
            protocol.LeaveChat: self._leave_chat,
            protocol.GetMessages: self._get_messages,
            protocol.ListChats: self._list_chats,
            protocol.ListChatbots: self._list_chatbots,
        }
        self.stopping = False

    @property
    def pending(self) -> set[asyncio.Future[Any]]:
        """What is not yet answered."""
        return self._tasks

    def take(self, socket: Socket, ack_id: int | None, name: Any, arguments: list[Any]) -> None:
        """Begin an event; returns at once, so that events begin in the order in which they arrive."""
        known = isinstance(name, str) and name in protocol.CLIENT_EVENTS
        call = Call(socket, ack_id, name if known else "unknown", self._metrics)
        try:
            self._check_budget(socket)
            payload = protocol.parse(name, arguments)
            if isinstance(payload, protocol.SendMessage):
                self._send_message(call, payload)
            elif isinstance(payload, protocol.LeaveChat) and self._leave_joined(call, payload):
                pass
            else:
                self._keep(asyncio.create_task(self._run(call, payload), name=call.event))
        except BackchatError as error:
            call.refuse(error)
        except Exception:
            logger.exception("an event failed", name=call.event)
            call.refuse(Internal())

    def malformed(self, socket: Socket, ack_id: int) -> None:
        """Answer what is no event."""
        call = Call(socket, ack_id, "unknown", self._metrics)
        try:
            self._check_budget(socket)
            call.refuse(InvalidRequest("This is no event."))
        except BackchatError as error:
            call.refuse(error)

    def _check_budget(self, socket: Socket) -> None:
        if self.stopping:
            raise Unavailable("This gateway is stopping; connect again.", retry_after=COME_BACK)
        self._presence.spend(socket.user_id)
        if socket.in_flight > self._settings.events_in_flight:
            raise RateLimited("Too many events without an answer.", retry_after=0.5)

    async def _run(self, call: Call, payload: protocol.ClientPayload) -> None:
        try:
            async with asyncio.timeout(DEADLINE):
                await self._handlers[type(payload)](call, payload)
        except BackchatError as error:
            call.refuse(error)
        except TimeoutError:
            call.refuse(Unavailable())
        except Exception:
            logger.exception("an event failed", name=call.event)
            call.refuse(Internal())

    def _keep(self, task: asyncio.Future[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- send_message: begun within `take`, where possible -------------------------------------------------

    def _send_message(self, call: Call, request: protocol.SendMessage) -> None:
        socket, key = call.socket, str(request.session_id)
        if not socket.lanes.busy(key):
            session = self._sessions.use(key)
            if session is not None and session.loaded and socket.user_id in session.members:
                self._publish(call, request)
                return
        socket.lanes.put(key, partial(self._load_and_publish, call, request))

    async def _load_and_publish(self, call: Call, request: protocol.SendMessage) -> None:
        try:
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

    def _publish(self, call: Call, request: protocol.SendMessage) -> None:
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
        key = str(ids.partition(session_id, self._settings.partitions))
        fields = {
            "message_id": str(message_id),
            "client_message_id": request.client_message_id,
            "status": "accepted",
        }
        published = asyncio.ensure_future(self._bus.publish(self._log, key, event))
        timer = asyncio.get_running_loop().call_later(call.remaining, call.refuse, Unavailable())
        self._keep(published)
        published.add_done_callback(partial(_published, call, fields, timer))

    # --- the others ----------------------------------------------------------------------------------------

    async def _start_chat(self, call: Call, request: protocol.StartChat) -> None:
        socket, user = call.socket, call.socket.user_id
        self._check_joined(socket)
        chatbot_ids = list(dict.fromkeys(request.chatbot_ids or ()))
        if len(chatbot_ids) > self._settings.chatbots_max:
            raise Conflict(f"A session holds at most {self._settings.chatbots_max} chatbots.")
        session_id = ids.session_id(user, request.client_request_id)
        command = StartSession(
            session_id=session_id,
            user_id=user,
            title=request.title,
            chatbot_ids=chatbot_ids or None,
            reply_policy=request.reply_policy,
            created_at=utc_now(),
        )
        create = partial(self._questions.command, session_id, command)
        if await self._sessions.start(socket, session_id, create, call.accept):
            self._joined(socket, str(session_id))

    async def _join_chat(self, call: Call, request: protocol.JoinChat) -> None:
        self._check_joined(call.socket)
        if await self._sessions.join(call.socket, request, call.accept):
            self._joined(call.socket, str(request.session_id))

    def _leave_joined(self, call: Call, request: protocol.LeaveChat) -> bool:
        """At once, also while a join is under way; false if there is nothing to leave."""
        socket, key = call.socket, str(request.session_id)
        socket.joined.discard(key)
        if left := self._sessions.leave(socket, key):
            call.accept({})
        return left

    async def _leave_chat(self, call: Call, request: protocol.LeaveChat) -> None:
        """Not joined: nothing changes, and a session that is not theirs is `not_found` as everywhere."""
        await self._sessions.load_for(request.session_id, call.socket.user_id, call.remaining)
        call.accept({})

    async def _get_messages(self, call: Call, request: protocol.GetMessages) -> None:
        found = await self._questions.ask(
            ReadHistory(
                user_id=call.socket.user_id,
                session_id=request.session_id,
                before_seq=request.before_seq,
                after_seq=request.after_seq,
                limit=request.limit,
            )
        )
        call.accept({"messages": found["messages"], "has_more": found["has_more"]})

    async def _list_chats(self, call: Call, request: protocol.ListChats) -> None:
        found = await self._questions.ask(
            ListSessions(user_id=call.socket.user_id, cursor=request.cursor, limit=request.limit)
        )
        call.accept({"sessions": found["sessions"], "next_cursor": found["next_cursor"]})

    async def _list_chatbots(self, call: Call, _request: protocol.ListChatbots) -> None:
        found = await self._questions.ask(ListChatbots())
        call.accept({"chatbots": found["chatbots"]})

    def _check_joined(self, socket: Socket) -> None:
        if len(socket.joined) >= self._settings.sessions_per_socket:
            raise RateLimited("This socket has joined too many sessions; leave some.", retry_after=1.0)

    def _joined(self, socket: Socket, key: str) -> None:
        if socket.open:
            socket.joined.add(key)
        else:  # it went while we were at it
            self._sessions.leave(socket, key)


def _published(call: Call, fields: dict[str, Any], timer: asyncio.TimerHandle, published: asyncio.Future[None]) -> None:
    timer.cancel()
    if published.cancelled():
        call.refuse(Unavailable())
        return
    error = published.exception()
    if error is None:
        call.accept(fields)
    elif isinstance(error, BackchatError):
        call.refuse(error)
    else:
        logger.error("a publication failed", exc_info=error)
        call.refuse(Internal())

"""Client events: each is checked, done, and answered exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import structlog

from chat_gateway import protocol
from chat_gateway.calls import Call, Calls
from chat_gateway.presence import Presence
from chat_gateway.questions import Questions
from chat_gateway.sending import Sending
from chat_gateway.sessions import Sessions
from chat_gateway.settings import GatewaySettings
from chat_gateway.sockets import Socket
from shared.contracts import ids
from shared.contracts.commands import StartSession
from shared.contracts.payload import utc_now
from shared.contracts.queries import ListChatbots, ListSessions, ReadHistory
from shared.errors import BackchatError, Conflict, Internal, InvalidRequest, RateLimited, Unavailable

logger = structlog.get_logger(__name__)

READS = (protocol.JoinChat, protocol.GetMessages, protocol.ListChats)
READING = "reading"  # the lane of these, beside those of sessions
COME_BACK = 1.0  # seconds, `retry_after` of what a stopping gateway refuses


class ClientEvents:
    """What each event does."""

    def __init__(
        self,
        calls: Calls,
        sending: Sending,
        questions: Questions,
        sessions: Sessions,
        presence: Presence,
        settings: GatewaySettings,
    ) -> None:
        self._calls = calls
        self._sending = sending
        self._questions = questions
        self._sessions = sessions
        self._presence = presence
        self._settings = settings
        self._tasks: set[asyncio.Future[None]] = set()
        self._handlers: dict[type[protocol.ClientPayload], Callable[[Call, Any], Awaitable[None]]] = {
            protocol.StartChat: self._start_chat,
            protocol.JoinChat: self._join_chat,
            protocol.LeaveChat: self._leave_chat,
            protocol.GetMessages: self._get_messages,
            protocol.ListChats: self._list_chats,
            protocol.ListChatbots: self._list_chatbots,
        }
        self.stopping = False

    def take(self, socket: Socket, ack_id: int | None, name: Any, arguments: list[Any]) -> Awaitable[None] | None:
        """Begin an event; returns at once, so that events begin in the order in which they arrive.

        What it returns is to be awaited before the next event of this socket is taken.
        """
        known = isinstance(name, str) and name in protocol.CLIENT_EVENTS
        call = self._calls.begin(socket, ack_id, name if known else "unknown")
        try:
            self._check_budget(socket)
            payload = protocol.parse(name, arguments)
            if isinstance(payload, protocol.SendMessage):
                self._sending.send(call, payload)
            elif isinstance(payload, READS):  # a page may be large: one at a time, and what waits costs no task
                socket.lanes.put(READING, partial(self._run, call, payload))
            elif not (isinstance(payload, protocol.LeaveChat) and self._leave_joined(call, payload)):
                self._keep(asyncio.create_task(self._run(call, payload), name=call.event))
        except BackchatError as error:
            return self._refuse(call, error)
        except Exception:
            logger.exception("an event failed", name=call.event)
            return self._refuse(call, Internal())
        return None

    def malformed(self, socket: Socket, ack_id: int) -> Awaitable[None] | None:
        """Answer what is no event; as `take`."""
        call = self._calls.begin(socket, ack_id, "unknown")
        try:
            self._check_budget(socket)
        except BackchatError as error:
            return self._refuse(call, error)
        return self._refuse(call, InvalidRequest("This is no event."))

    def _refuse(self, call: Call, error: BackchatError) -> Awaitable[None] | None:
        call.refuse(error)
        hold = self._calls.hold(call.socket, error)
        return asyncio.sleep(hold) if hold else None

    def _check_budget(self, socket: Socket) -> None:
        if self.stopping:
            raise Unavailable("This gateway is stopping; connect again.", retry_after=COME_BACK)
        self._presence.spend(socket.user_id)
        self._calls.check(socket)

    async def _run(self, call: Call, payload: protocol.ClientPayload) -> None:
        try:
            async with asyncio.timeout(call.remaining):
                if isinstance(payload, READS):
                    await call.socket.connection.caught_up()
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

"""Joining: who receives which of the served sessions, with no gap and no repeat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from chat_gateway import protocol
from chat_gateway.bindings import Bindings
from chat_gateway.following import Following
from chat_gateway.questions import Questions
from chat_gateway.registry import Registry
from chat_gateway.replies import Replies
from chat_gateway.served import Recipient, ServedSession, Subscriber, active_replies
from shared.bus.port import REQUEST_TIMEOUT
from shared.contracts.queries import JoinSession, ReadSession
from shared.contracts.topology import session_key
from shared.errors import Unavailable

KEEP = 60.0  # seconds that a session nobody has joined stays in memory after its last use
SWEEP_EVERY = 5.0  # seconds

Acknowledge = Callable[[dict[str, Any]], None]  # sends the ack with these fields, at once


class Sessions:
    """What sockets do with sessions."""

    def __init__(
        self, questions: Questions, bindings: Bindings, registry: Registry, following: Following, replies: Replies
    ) -> None:
        self._questions = questions
        self._bindings = bindings
        self._registry = registry
        self._following = following
        self._replies = replies

    def use(self, key: str) -> ServedSession | None:
        """A served session by its id as text; it is in use."""
        session = self._registry.find(key)
        if session is not None:
            self._registry.touch(session)
        return session

    @asynccontextmanager
    async def lease(self, session_id: UUID, timeout: float) -> AsyncIterator[ServedSession]:
        """Serve a session while the block runs: its key is bound, its changes are held back until it is loaded.

        Raises:
            Unavailable: the bus is away, or too many sessions are served.
        """
        session = self._registry.serve(session_id)
        session.leases += 1
        self._registry.touch(session)
        try:
            await self._bindings.bound(session_key(session.partition), timeout)
            yield session
        finally:
            session.leases -= 1
            self._registry.touch(session)
            if session.idle and not session.loaded:
                self._registry.forget(session)

    async def load_for(self, session_id: UUID, user_id: str, timeout: float) -> None:
        """Make sure that the session is served and the user is a member.

        Raises:
            NotFound: there is none, or it is not theirs.
            Unavailable: that cannot be told just now.
        """
        async with self.lease(session_id, timeout) as session:
            if session.loaded and user_id in session.members:
                return
            found = await self._questions.ask(ReadSession(user_id=user_id, session_id=session_id), timeout)
            self._following.load(session, found["session"])

    async def join(self, socket: Recipient, request: protocol.JoinChat, acknowledge: Acknowledge) -> bool:
        """Answer a join and, if the answer is complete, let the socket receive what comes after it."""
        async with self._joining(socket, request.session_id) as (session, subscriber):
            found = await self._questions.ask(_join_query(socket.user_id, request))
            self._following.load(session, found["session"])
            for message in found["messages"]:
                if self._replies.find(message["id"]) is not None:
                    self._replies.ended(message["id"])
            answer = {
                "session": found["session"],
                "messages": found["messages"],
                "has_more": found["has_more"],
                "last_seq": found["last_seq"],
                "active_replies": active_replies(found["active"], self._replies),
            }
            partial = request.after_seq is not None and found["has_more"]
            return self._answer(session, subscriber, found["last_seq"], lambda: acknowledge(answer), partial=partial)

    async def start(
        self,
        socket: Recipient,
        session_id: UUID,
        create: Callable[[], Awaitable[dict[str, Any]]],
        acknowledge: Acknowledge,
    ) -> bool:
        """Run `create`, which makes the session, and let the socket receive what comes after the answer."""
        async with self._joining(socket, session_id) as (session, subscriber):
            view = (await create())["session"]
            self._following.load(session, view)
            return self._answer(
                session, subscriber, view["last_seq"], lambda: acknowledge({"session": view}), partial=False
            )

    @asynccontextmanager
    async def _joining(self, socket: Recipient, session_id: UUID) -> AsyncIterator[tuple[ServedSession, Subscriber]]:
        """From here on the socket misses nothing; unless the block lets it in, all is as before in the end."""
        async with self.lease(session_id, REQUEST_TIMEOUT) as session:
            subscriber = session.subscribers.setdefault(socket, Subscriber(socket))
            subscriber.joins += 1
            try:
                async with subscriber.turn:
                    subscriber.begin()
                    try:
                        yield session, subscriber
                    finally:
                        subscriber.give_up()
            finally:
                subscriber.joins -= 1
                if not subscriber.joined and not subscriber.joins:
                    _remove(session, subscriber)

    def _answer(
        self,
        session: ServedSession,
        subscriber: Subscriber,
        last_seq: int,
        acknowledge: Callable[[], None],
        *,
        partial: bool,
    ) -> bool:
        """Acknowledge a join; true if the socket receives the session from now on."""
        if subscriber.overflowed:
            raise Unavailable("Too much happened meanwhile; join again.", retry_after=0.5)
        left = session.subscribers.get(subscriber.socket) is not subscriber
        if left or partial:
            subscriber.give_up()
            acknowledge()
            return subscriber.joined and not left
        subscriber.finish(last_seq, acknowledge)
        subscriber.lacking = set(self._replies.of_session(session.key))
        return True

    def leave(self, socket: Recipient, key: str) -> bool:
        """The socket receives nothing more of this session; true if it did, or was about to."""
        session = self._registry.find(key)
        if session is None or session.subscribers.pop(socket, None) is None:
            return False
        self._registry.touch(session)
        return True

    async def sweep(self) -> None:
        """Forget what nobody has needed for a while."""
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            self._registry.forget_unused(KEEP)


def _remove(session: ServedSession, subscriber: Subscriber) -> None:
    if session.subscribers.get(subscriber.socket) is subscriber:
        del session.subscribers[subscriber.socket]


def _join_query(user_id: str, request: protocol.JoinChat) -> JoinSession:
    return JoinSession(user_id=user_id, session_id=request.session_id, after_seq=request.after_seq, limit=request.limit)

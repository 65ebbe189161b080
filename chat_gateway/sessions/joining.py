"""Joining and leaving: which sockets and streams receive which sessions, without gaps or repetitions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from chat_gateway.domain.streamed_replies import StreamedReplies
from chat_gateway.identity.authentication import Identity
from chat_gateway.protocol import payloads
from chat_gateway.sessions.bindings import Bindings
from chat_gateway.sessions.catch_up import CatchUp
from chat_gateway.sessions.persistence_client import PersistenceClient
from chat_gateway.sessions.presence import PresenceTracker
from chat_gateway.sessions.registry import SessionRegistry
from chat_gateway.sessions.session_state import ServedSession, Subscriber, describe_active_replies
from chat_gateway.sockets.recipients import Recipient
from shared.bus.port import REQUEST_TIMEOUT
from shared.contracts.queries import JoinSession, ReadSession
from shared.contracts.topology import session_key
from shared.errors import Forbidden, RateLimited, Unavailable

KEEP_UNUSED = 60.0  # seconds that an idle session stays in memory after its last use
SWEEP_EVERY = 5.0  # seconds
NEWEST_REPLIES = 8  # messages at the end of a page: a session has at most 8 chatbots

Acknowledge = Callable[[dict[str, Any]], None]  # queues the ack with these fields


class Sessions:
    """Joins, leaves and looks up sessions for sockets and streams."""

    def __init__(
        self,
        persistence: PersistenceClient,
        bindings: Bindings,
        registry: SessionRegistry,
        catch_up: CatchUp,
        replies: StreamedReplies,
        presence: PresenceTracker,
        max_per_socket: int,
    ) -> None:
        self._presence = presence
        self._max_per_socket = max_per_socket
        self._persistence = persistence
        self._bindings = bindings
        self._registry = registry
        self._catch_up = catch_up
        self._replies = replies

    def use(self, key: str) -> ServedSession | None:
        """Return a served session by its id as text, and mark it as used."""
        session = self._registry.find(key)
        if session is not None:
            self._registry.touch(session)
        return session

    def is_member(self, key: str, user_id: str) -> bool:
        """Whether the session is loaded and the user is a member. Sends no query, and marks the session as used."""
        session = self.use(key)
        return session is not None and session.loaded and user_id in session.members

    @asynccontextmanager
    async def lease(self, session_id: UUID, timeout: float) -> AsyncIterator[ServedSession]:
        """Serve a session while the block runs. Its routing key is bound; its changes are held until it is loaded.

        Raises:
            Unavailable: the bus is not connected, or too many sessions are served.
        """
        session = self._registry.serve(session_id)
        session.leases += 1
        self._registry.touch(session)
        try:
            await self._bindings.wait_bound(session_key(session.partition), timeout)
            yield session
        finally:
            session.leases -= 1
            self._registry.touch(session)
            if session.idle and not session.loaded:
                self._registry.forget(session)

    async def load_for(self, session_id: UUID, identity: Identity, timeout: float, *, also_if: bool = False) -> None:
        """Load the session if necessary and check that the user is a member; `timeout` in seconds.

        `also_if`: whether a service passes that may read the session and is no member.

        Raises:
            NotFound: there is no such session, or the user is not a member.
            Forbidden: a service may read the session, but is no member.
            Unavailable: persistence or the bus does not answer.
        """
        user_id = identity.user_id
        async with self.lease(session_id, timeout) as session:
            if session.loaded and (user_id in session.members or also_if):
                return
            query = ReadSession(user_id=user_id, session_id=session_id, scopes=identity.scope_names)
            found = (await self._persistence.query(query, timeout))["session"]
            self._catch_up.load(session, found)
            if user_id not in found["users"] and not also_if:
                raise Forbidden("This service is no member of the session.")

    async def join(self, caller: Recipient, request: payloads.JoinChat, acknowledge: Acknowledge) -> None:
        """Answer `join_chat`. If the answer is complete, a caller that receives events is sent all later changes.

        Raises:
            NotFound: there is no such session, or the user is not a member.
            RateLimited: the caller has joined too many sessions.
        """
        if not caller.receives:
            async with self.lease(request.session_id, REQUEST_TIMEOUT) as session:
                answer, _ = await self._read(session, caller, request)
            acknowledge(answer)
            return
        async with self._joining(caller, request.session_id) as (session, subscriber):
            answer, partial = await self._read(session, caller, request)
            self._answer(session, subscriber, answer["last_seq"], lambda: acknowledge(answer), partial=partial)

    async def _read(
        self, session: ServedSession, caller: Recipient, request: payloads.JoinChat
    ) -> tuple[dict[str, Any], bool]:
        """Return the answer of `join_chat`, and whether it is one page of several."""
        found = await self._persistence.query(_join_query(caller.identity, request))
        self._catch_up.load(session, found["session"])
        self._note_ended(found["messages"], to_stream=caller.follows is not None)
        answer = {
            "session": found["session"],
            "messages": found["messages"],
            "has_more": found["has_more"],
            "last_seq": found["last_seq"],
            "active_replies": describe_active_replies(found["active"], self._replies),
        }
        if not caller.identity.observes:
            session.check_current(caller.user_id, found["session"])
        return answer, request.after_seq is not None and found["has_more"]

    def _note_ended(self, messages: list[dict[str, Any]], *, to_stream: bool) -> None:
        """Drop the texts of replies that are stored.

        Later deltas of the newest replies are ignored even if none was seen yet: no stream may receive them after the
        message.
        """
        newest = len(messages) - (NEWEST_REPLIES if to_stream else 0)
        for place, message in enumerate(messages):
            is_new = place >= newest and message["sender_type"] == "chatbot"
            if is_new or self._replies.has(message["id"]):
                self._replies.ended(message["id"])

    async def join_by_command(
        self,
        caller: Recipient,
        session_id: UUID,
        command: Callable[[], Awaitable[dict[str, Any]]],
        acknowledge: Acknowledge,
    ) -> None:
        """Run `command`, which makes the user a member; a caller that receives events is sent all later changes.

        Raises:
            RateLimited: the caller has joined too many sessions.
        """
        if not caller.receives:
            async with self.lease(session_id, REQUEST_TIMEOUT) as session:
                view = (await command())["session"]
                self._catch_up.load(session, view)
            acknowledge({"session": view})
            return
        async with self._joining(caller, session_id) as (session, subscriber):
            view = (await command())["session"]
            self._catch_up.load(session, view)
            session.check_current(caller.user_id, view)
            self._answer(session, subscriber, view["last_seq"], lambda: acknowledge({"session": view}), partial=False)

    @asynccontextmanager
    async def _joining(self, socket: Recipient, session_id: UUID) -> AsyncIterator[tuple[ServedSession, Subscriber]]:
        """Buffer all changes for the socket during the block; if the block does not join it, restore its state."""
        if len(socket.joined) >= self._max_per_socket:
            raise RateLimited("This socket has joined too many sessions; leave some.", retry_after=1.0)
        async with self.lease(session_id, REQUEST_TIMEOUT) as session:
            subscriber = session.subscribers.setdefault(socket, Subscriber(socket))
            subscriber.joins += 1
            try:
                async with subscriber.join_lock:
                    subscriber.begin_join()
                    try:
                        yield session, subscriber
                    finally:
                        subscriber.cancel_join()
            finally:
                subscriber.joins -= 1
                if not subscriber.joined and not subscriber.joins:
                    _remove(session, subscriber)
                elif not socket.open:  # the client disconnected during the join
                    self.leave(socket, session.key)
                elif session.has_joined(socket) and session.key not in socket.joined:
                    socket.joined.add(session.key)
                    self._presence.joined(session, socket)

    def _answer(
        self,
        session: ServedSession,
        subscriber: Subscriber,
        last_seq: int,
        acknowledge: Callable[[], None],
        *,
        partial: bool,
    ) -> None:
        """Ack a join. Unless it is `partial` (one page of several), the socket has joined from now on."""
        evicted = self._registry.find(session.key) is not session
        if evicted or subscriber.overflowed or subscriber.removed:
            raise Unavailable("The session changed too much during the join; join again.", retry_after=0.5)
        left = session.subscribers.get(subscriber.socket) is not subscriber
        if left or partial:
            subscriber.cancel_join()
            acknowledge()
            return
        subscriber.complete_join(last_seq, acknowledge)
        subscriber.awaiting_snapshot = set(self._replies.of_session(session.key))

    def remove_member(self, key: str, user_id: str) -> None:
        """Unsubscribe the sockets of a former member."""
        session = self._registry.find(key)
        if session is not None and session.remove_member(user_id):
            self._registry.touch(session)
            self._presence.changed(key)

    def mark_deleted(self, socket: Recipient, key: str) -> None:
        """Unsubscribe the socket that deleted the session. The session is kept until all its sockets are notified."""
        session = self._registry.find(key)
        if session is not None:
            session.members = frozenset()
            self.leave(socket, key)

    def leave(self, socket: Recipient, key: str) -> bool:
        """Unsubscribe a socket; return whether it had joined or was joining."""
        session = self._registry.find(key)
        subscriber = session.subscribers.pop(socket, None) if session is not None else None
        if session is None or subscriber is None:
            return False
        subscriber.joined = False
        self._registry.touch(session)
        self._presence.changed(key)
        return True

    async def sweep(self) -> None:
        """Evict sessions that have been idle for `KEEP_UNUSED` seconds, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            self._registry.forget_unused(KEEP_UNUSED)


def _remove(session: ServedSession, subscriber: Subscriber) -> None:
    if session.subscribers.get(subscriber.socket) is subscriber:
        del session.subscribers[subscriber.socket]


def _join_query(identity: Identity, request: payloads.JoinChat) -> JoinSession:
    return JoinSession(
        user_id=identity.user_id,
        session_id=request.session_id,
        after_seq=request.after_seq,
        limit=request.limit,
        scopes=identity.scope_names,
    )

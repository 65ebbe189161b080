"""The sessions that this gateway serves: loading, joining, following their cursors, forgetting."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import structlog

from chat_gateway import protocol
from chat_gateway.bindings import Bindings
from chat_gateway.metrics import Metrics
from chat_gateway.questions import Questions
from chat_gateway.replies import Replies
from chat_gateway.served import Change, Recipient, ServedSession, Subscriber, active_replies
from shared.bus.port import REQUEST_TIMEOUT
from shared.contracts import ids
from shared.contracts.queries import JoinSession, ReadChanges, ReadHeads, ReadSession
from shared.contracts.topology import session_key
from shared.errors import BackchatError, NotFound, Unavailable

logger = structlog.get_logger(__name__)

KEEP = 60.0  # seconds that a session nobody has joined stays in memory after its last use
SWEEP_EVERY = 5.0  # seconds
HEADS_EVERY = 10.0  # seconds between two looks at the newest numbers of all served sessions
HEADS_AT_ONCE = 5_000  # sessions of one such query
HEADS_GRACE = 1.0  # seconds that a change may be on its way before it counts as missed
PAGE = 200  # changes of one read
READS_AT_ONCE = 16
READ_RETRY = 1.0  # seconds

Acknowledge = Callable[[dict[str, Any]], None]  # sends the ack with these fields, at once


class Sessions:
    """The registry. All its state is what connected sockets need just now."""

    def __init__(
        self, questions: Questions, bindings: Bindings, metrics: Metrics, *, partitions: int, most: int, text_max: int
    ) -> None:
        self._questions = questions
        self._bindings = bindings
        self._metrics = metrics
        self._partitions = partitions
        self._most = most
        self._sessions: OrderedDict[str, ServedSession] = OrderedDict()  # least recently used first
        self._reads = asyncio.Semaphore(READS_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._doubt = asyncio.Event()
        self.replies = Replies(text_max)

    def find(self, key: str | None) -> ServedSession | None:
        """A served session by its id as text."""
        return self._sessions.get(key) if key is not None else None

    def use(self, key: str) -> ServedSession | None:
        """The same, and it is in use."""
        session = self._sessions.get(key)
        if session is not None:
            self._touch(session)
        return session

    @asynccontextmanager
    async def lease(self, session_id: UUID, timeout: float) -> AsyncIterator[ServedSession]:
        """Serve a session while the block runs: its key is bound, its changes are held back until it is loaded.

        Raises:
            Unavailable: the bus is away, or too many sessions are served.
        """
        session = self._sessions.get(str(session_id)) or self._begin(session_id)
        session.leases += 1
        try:
            await self._bindings.bound(session_key(session.partition), timeout)
            yield session
        finally:
            session.leases -= 1
            self._touch(session)
            if session.idle and not session.loaded:
                self._forget(session)

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
            self._load(session, found["session"])

    async def join(self, socket: Recipient, request: protocol.JoinChat, acknowledge: Acknowledge) -> bool:
        """Answer a join and, if the answer is complete, let the socket receive what comes after it."""
        async with self._joining(socket, request.session_id) as (session, subscriber):
            found = await self._questions.ask(_join_query(socket.user_id, request))
            self._load(session, found["session"])
            for message in found["messages"]:
                if self.replies.find(message["id"]) is not None:
                    self.replies.ended(message["id"])
            answer = {
                "session": found["session"],
                "messages": found["messages"],
                "has_more": found["has_more"],
                "last_seq": found["last_seq"],
                "active_replies": active_replies(found["active"], self.replies),
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
            self._load(session, view)
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
        subscriber.lacking = set(self.replies.of_session(session.key))
        return True

    def leave(self, socket: Recipient, key: str) -> bool:
        """The socket receives nothing more of this session; true if it did, or was about to."""
        session = self._sessions.get(key)
        if session is None or session.subscribers.pop(socket, None) is None:
            return False
        self._touch(session)
        return True

    def changed(self, session: ServedSession, number: int, change: Change) -> None:
        """A stored change was delivered."""
        self._show(session, session.cursor.arrived(number, change))
        self._follow(session)

    def told(self, session: ServedSession, head: int) -> None:
        """The newest number of a session was told."""
        session.cursor.told(head)
        self._follow(session)

    def doubt(self) -> None:
        """Something may have been lost: look at all newest numbers now."""
        self._doubt.set()

    async def watch_heads(self) -> None:
        """Every few seconds, and at once in doubt: is any served session behind?"""
        while True:
            try:
                async with asyncio.timeout(HEADS_EVERY):
                    await self._doubt.wait()
            except TimeoutError:
                pass
            self._doubt.clear()
            try:
                heads = await self._read_heads()
            except BackchatError:
                await asyncio.sleep(READ_RETRY)
                self._doubt.set()
                continue
            if behind := {key: head for key, head in heads.items() if self._is_behind(key, head)}:
                await asyncio.sleep(HEADS_GRACE)
                for key, head in behind.items():
                    if (session := self._sessions.get(key)) is not None and session.loaded:
                        self.told(session, head)

    async def sweep(self) -> None:
        """Forget what nobody has needed for a while."""
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            before = time.monotonic() - KEEP
            for session in list(self._sessions.values()):
                if session.used_at > before:
                    break
                if session.idle:
                    self._forget(session)
                else:
                    self._touch(session)

    def close(self) -> None:
        """Stop all reads."""
        for task in self._tasks:
            task.cancel()

    async def _read_heads(self) -> dict[str, int]:
        loaded = [session.id for session in self._sessions.values() if session.loaded]
        heads: dict[str, int] = {}
        for at in range(0, len(loaded), HEADS_AT_ONCE):
            found = await self._questions.ask(ReadHeads(session_ids=loaded[at : at + HEADS_AT_ONCE]))
            heads.update(found["heads"])
        return heads

    def _is_behind(self, key: str, head: int) -> bool:
        session = self._sessions.get(key)
        return session is not None and session.cursor.released is not None and head > session.cursor.released

    def _load(self, session: ServedSession, view: dict[str, Any]) -> None:
        self._show(session, session.load(view))
        self._follow(session)

    def _show(self, session: ServedSession, changes: list[Change]) -> None:
        if not changes:
            return
        self._metrics.released.inc(len(changes))
        for name, payload in changes:
            if name == "message" and payload["sender_type"] == "chatbot":
                self.replies.ended(payload["id"])
        session.show(changes)

    def _follow(self, session: ServedSession) -> None:
        if session.cursor.wants_read and not session.catching_up:
            session.catching_up = True
            task = asyncio.create_task(self._catch_up(session), name="catch up")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _catch_up(self, session: ServedSession) -> None:
        try:
            while session.cursor.wants_read:
                async with self._reads:
                    if not await self._read(session):
                        return
        finally:
            session.catching_up = False

    async def _read(self, session: ServedSession) -> bool:
        """One whole read, page by page; false if the session is gone."""
        cursor = session.cursor
        after = cursor.begin_read()
        try:
            while True:
                query = ReadChanges(session_id=session.id, after_seq=after, limit=PAGE)
                found = await self._questions.ask(query)
                session.set_members(found["session"]["users"], found["session"]["seq"])
                self._show(session, cursor.read(_changes(found), found["last_seq"], more=found["has_more"]))
                if not found["has_more"]:
                    self._metrics.catch_ups.labels("ok").inc()
                    return True
                after = found["last_seq"]
        except NotFound:
            cursor.read_failed()
            self._metrics.catch_ups.labels("not_found").inc()
            self._forget(session)
            return False
        except BackchatError as error:
            cursor.read_failed()
            self._metrics.catch_ups.labels(error.code).inc()
            await asyncio.sleep(READ_RETRY)
            return True

    def _begin(self, session_id: UUID) -> ServedSession:
        while len(self._sessions) >= self._most:
            oldest = next((session for session in self._sessions.values() if session.idle), None)
            if oldest is None:
                raise Unavailable("This gateway serves too many sessions.", retry_after=5.0)
            self._forget(oldest)
        session = ServedSession(session_id, ids.partition(session_id, self._partitions))
        self._sessions[session.key] = session
        self._bindings.acquire(session_key(session.partition))
        self._touch(session)
        self._metrics.sessions.set(len(self._sessions))
        return session

    def _touch(self, session: ServedSession) -> None:
        session.used_at = time.monotonic()
        if session.key in self._sessions:
            self._sessions.move_to_end(session.key)

    def _forget(self, session: ServedSession) -> None:
        if self._sessions.get(session.key) is not session:
            return
        del self._sessions[session.key]
        session.subscribers.clear()
        self.replies.forget_session(session.key)
        self._bindings.release(session_key(session.partition))
        self._metrics.sessions.set(len(self._sessions))


def _remove(session: ServedSession, subscriber: Subscriber) -> None:
    if session.subscribers.get(subscriber.socket) is subscriber:
        del session.subscribers[subscriber.socket]


def _join_query(user_id: str, request: protocol.JoinChat) -> JoinSession:
    return JoinSession(user_id=user_id, session_id=request.session_id, after_seq=request.after_seq, limit=request.limit)


def _changes(found: dict[str, Any]) -> list[tuple[int, Change]]:
    """A read as numbered changes: messages, and the session's own change where it lies within."""
    session = found["session"]
    changes: list[tuple[int, Change]] = [
        (message["updated_seq"], ("message", message)) for message in found["messages"]
    ]
    changes.append((session["seq"], ("session_updated", session)))
    return changes

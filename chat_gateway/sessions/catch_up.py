"""Catch-up: releases the stored changes of served sessions in order, and reads the ones that are missing."""

from __future__ import annotations

import asyncio
from typing import Any

from chat_gateway.domain.streamed_replies import StreamedReplies
from chat_gateway.metrics import Metrics
from chat_gateway.sessions.pending_messages import PendingMessages
from chat_gateway.sessions.persistence_client import PersistenceClient
from chat_gateway.sessions.registry import SessionRegistry
from chat_gateway.sessions.session_state import Change, ServedSession
from chat_gateway.transport import frames
from shared.contracts.queries import ReadChanges, ReadHeads
from shared.errors import BackchatError, NotFound

HEADS_EVERY = 10.0  # seconds between two queries for the last numbers of all served sessions
HEADS_PER_QUERY = 5_000  # sessions in one such query
HEADS_GRACE = 1.0  # seconds that a change may take to be delivered before it counts as missing
PAGE = 200  # changes of one read
CONCURRENT_READS = 16
READ_RETRY = 1.0  # seconds


class CatchUp:
    """Moves the cursors of all served sessions."""

    def __init__(
        self,
        persistence: PersistenceClient,
        registry: SessionRegistry,
        replies: StreamedReplies,
        pending_messages: PendingMessages,
        metrics: Metrics,
    ) -> None:
        self._persistence = persistence
        self._registry = registry
        self._replies = replies
        self._pending_messages = pending_messages
        self._metrics = metrics
        self._reads = asyncio.Semaphore(CONCURRENT_READS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._check_requested = asyncio.Event()

    def load(self, session: ServedSession, view: dict[str, Any]) -> None:
        """Start a session with a snapshot (a `Session`); later snapshots do nothing."""
        self._show(session, session.load(view))
        self._start_read(session)

    def changed(self, session: ServedSession, number: int, change: Change) -> None:
        """Take a delivered change with its number."""
        self._show(session, session.cursor.arrived(number, change))
        self._start_read(session)

    def head_announced(self, session: ServedSession, head: int) -> None:
        """Take the last number of a session, and read the changes that are missing up to it."""
        session.cursor.head_announced(head)
        self._start_read(session)

    def check_heads_now(self) -> None:
        """Query all last numbers now, because deliveries may have been lost."""
        self._check_requested.set()

    async def watch_heads(self) -> None:
        """Query the last numbers of all served sessions periodically and after `check_heads_now`, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(HEADS_EVERY):
                    await self._check_requested.wait()
            except TimeoutError:
                pass
            self._check_requested.clear()
            try:
                heads, deleted = await self._read_heads()
            except BackchatError:
                await asyncio.sleep(READ_RETRY)
                self._check_requested.set()
                continue
            for each in deleted:
                self._drop_deleted(each)
            if behind := {key: head for key, head in heads.items() if self._is_behind(key, head)}:
                await asyncio.sleep(HEADS_GRACE)
                for key, head in behind.items():
                    if (session := self._registry.find(key)) is not None and session.loaded:
                        self.head_announced(session, head)

    def close(self) -> None:
        """Cancel all reads."""
        for task in self._tasks:
            task.cancel()

    async def _read_heads(self) -> tuple[dict[str, int], list[ServedSession]]:
        """Return the last numbers of the served sessions by id, and the sessions that no longer exist."""
        loaded = [session for session in self._registry if session.loaded]
        heads: dict[str, int] = {}
        for at in range(0, len(loaded), HEADS_PER_QUERY):
            asked = [session.id for session in loaded[at : at + HEADS_PER_QUERY]]
            heads.update((await self._persistence.query(ReadHeads(session_ids=asked)))["heads"])
        return heads, [session for session in loaded if session.key not in heads]

    def _drop_deleted(self, session: ServedSession) -> None:
        """Stop serving a deleted session whose deletion event was lost, and notify the joined sockets."""
        joined = self._registry.forget(session)
        frames.send_all(joined, frames.event("session_deleted", {"session_id": session.key}))

    def _is_behind(self, key: str, head: int) -> bool:
        session = self._registry.find(key)
        return session is not None and session.cursor.released is not None and head > session.cursor.released

    def _show(self, session: ServedSession, changes: list[Change]) -> None:
        if not changes:
            return
        self._metrics.released.inc(len(changes))
        for name, payload in changes:
            if name == "session_updated":
                continue
            if payload["sender_type"] == "chatbot":
                self._replies.ended(payload["id"])
            else:
                self._pending_messages.resolved(payload["id"])
        if session.release(changes):
            self._registry.touch(session)

    def _start_read(self, session: ServedSession) -> None:
        if session.cursor.needs_read and not session.catching_up:
            session.catching_up = True
            self._registry.touch(session)
            task = asyncio.create_task(self._read_missing(session), name="catch up")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _read_missing(self, session: ServedSession) -> None:
        try:
            while session.cursor.needs_read:
                async with self._reads:
                    if not await self._read(session):
                        return
        finally:
            session.catching_up = False
            self._registry.touch(session)

    async def _read(self, session: ServedSession) -> bool:
        """Do one complete read, page by page; return whether the session still exists."""
        cursor = session.cursor
        after = shown = cursor.begin_read()
        try:
            while True:
                query = ReadChanges(session_id=session.id, after_seq=after, limit=PAGE)
                found = await self._persistence.query(query)
                self._set_members(session, found["session"])
                self._show(session, cursor.read(_changes(found, shown), found["last_seq"], more=found["has_more"]))
                if not found["has_more"]:
                    self._metrics.catch_ups.labels("ok").inc()
                    return True
                after = found["last_seq"]
        except NotFound:
            cursor.read_failed()
            self._metrics.catch_ups.labels("not_found").inc()
            self._drop_deleted(session)
            return False
        except BackchatError as error:
            cursor.read_failed()
            self._metrics.catch_ups.labels(error.code).inc()
            await asyncio.sleep(READ_RETRY)
            return True

    def _set_members(self, session: ServedSession, view: dict[str, Any]) -> None:
        if removed := session.set_members(view["users"], view["seq"]):
            self._registry.touch(session)
            frames.send_all(removed, frames.event("session_deleted", {"session_id": session.key}))


def _changes(found: dict[str, Any], shown: int) -> list[tuple[int, Change]]:
    """Return the numbered changes of a page: of its messages, and of the session itself.

    A message whose place is after `shown` is new to clients, others are updates. The session's change may have a number
    outside the page; the cursor ignores it then.
    """
    session = found["session"]
    changes: list[tuple[int, Change]] = [
        (message["updated_seq"], ("message" if message["seq"] > shown else "message_updated", message))
        for message in found["messages"]
    ]
    changes.append((session["seq"], ("session_updated", session)))
    return changes

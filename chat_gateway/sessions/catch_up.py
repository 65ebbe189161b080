"""Following: stored changes of the served sessions are let out in order, and what is missing is read."""

from __future__ import annotations

import asyncio
from typing import Any

from chat_gateway.domain.streamed_replies import Replies
from chat_gateway.metrics import Metrics
from chat_gateway.sessions.pending_messages import Accepted
from chat_gateway.sessions.persistence_client import Questions
from chat_gateway.sessions.registry import Registry
from chat_gateway.sessions.session_state import Change, ServedSession
from chat_gateway.transport import frames
from shared.contracts.queries import ReadChanges, ReadHeads
from shared.errors import BackchatError, NotFound

HEADS_EVERY = 10.0  # seconds between two looks at the newest numbers of all served sessions
HEADS_AT_ONCE = 5_000  # sessions of one such query
HEADS_GRACE = 1.0  # seconds that a change may be on its way before it counts as missed
PAGE = 200  # changes of one read
READS_AT_ONCE = 16
READ_RETRY = 1.0  # seconds


class Following:
    """Moves the cursors of all served sessions."""

    def __init__(
        self, questions: Questions, registry: Registry, replies: Replies, accepted: Accepted, metrics: Metrics
    ) -> None:
        self._questions = questions
        self._registry = registry
        self._replies = replies
        self._accepted = accepted
        self._metrics = metrics
        self._reads = asyncio.Semaphore(READS_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._doubt = asyncio.Event()

    def load(self, session: ServedSession, view: dict[str, Any]) -> None:
        """A snapshot of the session (a `Session`) is there: begin with it, the first time."""
        self._show(session, session.load(view))
        self._follow(session)

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
                heads, gone = await self._read_heads()
            except BackchatError:
                await asyncio.sleep(READ_RETRY)
                self._doubt.set()
                continue
            for each in gone:
                self._gone(each)
            if behind := {key: head for key, head in heads.items() if self._is_behind(key, head)}:
                await asyncio.sleep(HEADS_GRACE)
                for key, head in behind.items():
                    if (session := self._registry.find(key)) is not None and session.loaded:
                        self.told(session, head)

    def close(self) -> None:
        """Stop all reads."""
        for task in self._tasks:
            task.cancel()

    async def _read_heads(self) -> tuple[dict[str, int], list[ServedSession]]:
        """The newest numbers of the served sessions, and those that are no more."""
        loaded = [session for session in self._registry if session.loaded]
        heads: dict[str, int] = {}
        for at in range(0, len(loaded), HEADS_AT_ONCE):
            asked = [session.id for session in loaded[at : at + HEADS_AT_ONCE]]
            heads.update((await self._questions.ask(ReadHeads(session_ids=asked)))["heads"])
        return heads, [session for session in loaded if session.key not in heads]

    def _gone(self, session: ServedSession) -> None:
        """It was deleted, and nobody told us: whoever follows it is told now."""
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
                self._accepted.settled(payload["id"])
        if session.show(changes):
            self._registry.touch(session)

    def _follow(self, session: ServedSession) -> None:
        if session.cursor.wants_read and not session.catching_up:
            session.catching_up = True
            self._registry.touch(session)
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
            self._registry.touch(session)

    async def _read(self, session: ServedSession) -> bool:
        """One whole read, page by page; false if the session is gone."""
        cursor = session.cursor
        after = shown = cursor.begin_read()
        try:
            while True:
                query = ReadChanges(session_id=session.id, after_seq=after, limit=PAGE)
                found = await self._questions.ask(query)
                self._set_members(session, found["session"])
                self._show(session, cursor.read(_changes(found, shown), found["last_seq"], more=found["has_more"]))
                if not found["has_more"]:
                    self._metrics.catch_ups.labels("ok").inc()
                    return True
                after = found["last_seq"]
        except NotFound:
            cursor.read_failed()
            self._metrics.catch_ups.labels("not_found").inc()
            self._gone(session)
            return False
        except BackchatError as error:
            cursor.read_failed()
            self._metrics.catch_ups.labels(error.code).inc()
            await asyncio.sleep(READ_RETRY)
            return True

    def _set_members(self, session: ServedSession, view: dict[str, Any]) -> None:
        if cut := session.set_members(view["users"], view["seq"]):
            self._registry.touch(session)
            frames.send_all(cut, frames.event("session_deleted", {"session_id": session.key}))


def _changes(found: dict[str, Any], shown: int) -> list[tuple[int, Change]]:
    """A read as numbered changes: messages (new ones are those with a place after `shown`), and the session's own.

    The last lies within the read or not; the cursor sees to that.
    """
    session = found["session"]
    changes: list[tuple[int, Change]] = [
        (message["updated_seq"], ("message" if message["seq"] > shown else "message_updated", message))
        for message in found["messages"]
    ]
    changes.append((session["seq"], ("session_updated", session)))
    return changes

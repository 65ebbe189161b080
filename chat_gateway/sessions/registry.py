"""The sessions that this gateway serves. Bounded: the least recently used idle session is evicted first."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator
from uuid import UUID

from chat_gateway.domain.streamed_replies import StreamedReplies
from chat_gateway.metrics import Metrics
from chat_gateway.sessions.bindings import Bindings
from chat_gateway.sessions.session_state import ServedSession
from chat_gateway.sockets.recipients import Recipient
from shared.contracts import ids
from shared.contracts.topology import session_key
from shared.errors import Unavailable


class SessionRegistry:
    """All served sessions. A caller that changes whether a session is idle must call `touch` afterwards."""

    def __init__(
        self, bindings: Bindings, replies: StreamedReplies, metrics: Metrics, *, partitions: int, max_sessions: int
    ) -> None:
        self._bindings = bindings
        self._replies = replies
        self._count = metrics.sessions
        self._partitions = partitions
        self._max = max_sessions
        self._sessions: dict[str, ServedSession] = {}
        self._idle: OrderedDict[str, ServedSession] = OrderedDict()  # least recently used first

    def __iter__(self) -> Iterator[ServedSession]:
        return iter(list(self._sessions.values()))

    def find(self, key: str | None) -> ServedSession | None:
        """Return a served session by its id as text."""
        return self._sessions.get(key) if key is not None else None

    def serve(self, session_id: UUID) -> ServedSession:
        """Return a session, which is served from now on; an idle session may be evicted for it.

        Raises:
            Unavailable: too many sessions are in use.
        """
        session = self._sessions.get(str(session_id))
        if session is not None:
            return session
        if len(self._sessions) >= self._max:
            if not self._idle:
                raise Unavailable("This gateway serves too many sessions.", retry_after=5.0)
            self.forget(next(iter(self._idle.values())))
        session = ServedSession(session_id, ids.partition(session_id, self._partitions))
        self._sessions[session.key] = session
        self._bindings.acquire(session_key(session.partition))
        self.touch(session)
        self._count.set(len(self._sessions))
        return session

    def touch(self, session: ServedSession) -> None:
        """Note that a session was used, or has become idle or busy."""
        session.used_at = time.monotonic()
        if self._sessions.get(session.key) is not session:
            return
        if not session.idle:
            self._idle.pop(session.key, None)
        else:
            self._idle[session.key] = session
            self._idle.move_to_end(session.key)

    def forget(self, session: ServedSession) -> list[Recipient]:
        """Stop serving a session; return the sockets that had joined."""
        if self._sessions.get(session.key) is not session:
            return []
        del self._sessions[session.key]
        self._idle.pop(session.key, None)
        joined = session.close()
        self._replies.forget_session(session.key)
        self._bindings.release(session_key(session.partition))
        self._count.set(len(self._sessions))
        return joined

    def forget_unused(self, seconds: float) -> None:
        """Stop serving the sessions that have been idle for this many seconds."""
        before = time.monotonic() - seconds
        while self._idle and (oldest := next(iter(self._idle.values()))).used_at <= before:
            self.forget(oldest)

"""`Prefer: wait=N` (RFC 7240): waits until a message is stored and the turns that answer it have ended."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from starlette.types import Receive

from chat_gateway.events.logins import Logins
from chat_gateway.http.api.forms import Disconnected
from chat_gateway.http.api.waiter import Waiter
from chat_gateway.identity.authentication import Identity
from chat_gateway.sessions.connected_users import ConnectedUsers
from chat_gateway.sessions.joining import Sessions
from chat_gateway.sessions.persistence_client import PersistenceClient
from shared.contracts.queries import ReadAnswer
from shared.errors import NotFound, TokenInvalid, Unavailable

BEGIN_WITHIN = 5.0  # seconds to bind the keys of the user and of the session
ASK_EVERY = 5.0  # seconds between two queries without a change in between, in case that a delivery is lost
ASK_AGAIN = 0.5  # seconds after a query that was not answered


@dataclass(slots=True)
class Wait:
    """One wait for the answer to a message of a session."""

    persistence: PersistenceClient
    waiter: Waiter
    session_id: UUID

    async def answer(self, message_id: str, until: float, receive: Receive, *, known: bool) -> dict[str, Any] | None:
        """Return the message and the replies to it, or `None` if the wait ends without them.

        `until`: monotonic seconds. `known`: the message may have been stored before.

        Raises:
            Rejected: the message was not stored.
            NotFound: the session is gone, or the user is no member any more.
            TokenInvalid: the login was revoked.
            Disconnected: the client is gone.
        """
        self.waiter.wait_for(message_id)
        following = asyncio.ensure_future(self._follow(UUID(message_id), ask_now=known))
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            left = max(0.0, until - time.monotonic())
            ends: set[asyncio.Future[Any]] = {following, gone, self.waiter.ended}
            await asyncio.wait(ends, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if self.waiter.ended.done():
                return self.waiter.ended.result()
            if following.done():
                return following.result()
            if gone.done():
                raise Disconnected
            return None
        finally:
            for task in (following, gone):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task

    async def _follow(self, message_id: UUID, *, ask_now: bool) -> dict[str, Any]:
        """Query the answer after each change of the session until it is complete."""
        query = ReadAnswer(
            user_id=self.waiter.user_id,
            session_id=self.session_id,
            message_id=message_id,
            scopes=self.waiter.identity.scope_names,
        )
        stored, pause = False, ASK_EVERY
        if not ask_now:
            await self._changed(ASK_EVERY)
        while True:
            self.waiter.changed.clear()
            try:
                found = await self.persistence.query(query)
                stored, pause = True, ASK_EVERY
                if found["ended"]:
                    return {"message": found["message"], "replies": found["replies"]}
            except NotFound:
                if stored:
                    raise
            except Unavailable:
                pause = ASK_AGAIN
            await self._changed(pause)

    async def _changed(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.waiter.changed.wait()


class Waits:
    """Begins the waits of this gateway. Each counts as a socket of its user."""

    def __init__(
        self, sessions: Sessions, connected_users: ConnectedUsers, persistence: PersistenceClient, logins: Logins
    ) -> None:
        self._sessions = sessions
        self._connected_users = connected_users
        self._persistence = persistence
        self._revocation = logins.revocation

    @asynccontextmanager
    async def begin(self, identity: Identity, session_id: UUID) -> AsyncIterator[Wait]:
        """Serve the session, and receive what concerns the user, while the block runs.

        Raises:
            RateLimited: the user has too many sockets, streams and waiting requests.
            Unavailable: the bus is not connected, or too many sessions are served.
        """
        waiter = Waiter(identity)
        try:
            await self._connected_users.add(waiter, BEGIN_WITHIN)
            if self._revocation.covers(identity):
                raise TokenInvalid
            async with self._sessions.lease(session_id, BEGIN_WITHIN) as session:
                session.watchers.add(waiter.changed.set)
                try:
                    yield Wait(self._persistence, waiter, session_id)
                finally:
                    session.watchers.discard(waiter.changed.set)
        finally:
            self._connected_users.remove(waiter)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

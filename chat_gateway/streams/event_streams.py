"""The open streams: opens them with a catch-up, writes comments, and closes them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from chat_gateway.events.calls import DEADLINE
from chat_gateway.events.logins import Logins
from chat_gateway.events.welcome import ready_of
from chat_gateway.identity.authentication import Identity
from chat_gateway.metrics import Metrics
from chat_gateway.protocol.payloads import JoinChat
from chat_gateway.sessions.connected_users import ConnectedUsers
from chat_gateway.sessions.joining import Sessions
from chat_gateway.settings import GatewaySettings
from chat_gateway.streams.stream import Stream
from chat_gateway.streams.stream_catch_up import StreamCatchUp
from chat_gateway.transport import frames
from shared.errors import TokenInvalid, Unavailable
from shared.http.http_protocol import TRANSPORT

logger = structlog.get_logger(__name__)

COMMENT_EVERY = 10.0  # seconds; the contract promises a comment each 15
WATCH_EVERY = 1.0  # seconds
# A comment without an empty line behind it: some parsers take the empty line for an event without data.
COMMENT = b":\n"
HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]


class EventStreams:
    """Opens and serves streams. A stream counts as a socket of its user."""

    def __init__(
        self,
        sessions: Sessions,
        connected_users: ConnectedUsers,
        logins: Logins,
        settings: GatewaySettings,
        metrics: Metrics,
    ) -> None:
        self._sessions = sessions
        self._connected_users = connected_users
        self._logins = logins
        self._settings = settings
        self._metrics = metrics
        self._streams: set[Stream] = set()
        metrics.streams.set_function(lambda: len(self._streams))

    async def open_session(self, identity: Identity, request: JoinChat, scope: Scope) -> ASGIApp:
        """Return the response with the stream of one session, from the changes after `request.after_seq` on.

        Raises:
            NotFound: there is no such session, or the user is not a member.
            Conflict: the cursor is above the newest number.
            RateLimited: the user has too many sockets and streams.
            Unavailable: persistence or the bus does not answer.
        """
        async with self._opening(
            Stream(identity, str(request.session_id), self._settings, _transport(scope))
        ) as stream:
            catch_up = StreamCatchUp(self._sessions, stream, request)
            await catch_up.read_page()
        return partial(self._serve, stream, catch_up)

    async def open_user(self, identity: Identity, scope: Scope) -> ASGIApp:
        """Return the response with the stream of a user, which begins with the event `ready`.

        Raises:
            RateLimited: the user has too many sockets and streams.
            Unavailable: the bus does not answer.
        """
        async with self._opening(Stream(identity, None, self._settings, _transport(scope))) as stream:
            stream.go_live()
            stream.send(frames.event("ready", ready_of(identity, self._settings)))
        return partial(self._serve, stream, None)

    async def watch(self) -> None:
        """Write comments, and end streams that are not read or whose session is no longer received; until cancelled."""
        while True:
            await asyncio.sleep(WATCH_EVERY)
            now = time.monotonic()
            for stream in list(self._streams):
                stream.check_reading(now)
                if now - stream.commented_at >= COMMENT_EVERY:
                    stream.commented_at = now
                    stream.write(COMMENT)
                    if stream.live and stream.follows is not None and stream.follows not in stream.joined:
                        stream.end()  # the event that ended the membership was lost

    @asynccontextmanager
    async def _opening(self, stream: Stream) -> AsyncIterator[Stream]:
        """Register a stream for the block that fills it; close it if the block fails or takes too long."""
        try:
            async with asyncio.timeout(DEADLINE):
                await self._connected_users.add(stream, DEADLINE)
                self._streams.add(stream)
                self._logins.begin(stream)
                if not stream.open:  # its login was revoked a moment ago
                    raise TokenInvalid
                yield stream
        except BaseException as error:
            self._close(stream)
            if isinstance(error, TimeoutError):
                raise Unavailable from None
            raise

    def _close(self, stream: Stream) -> None:
        stream.end()
        self._streams.discard(stream)
        self._logins.end(stream)
        self._connected_users.remove(stream)
        for key in stream.joined:
            self._sessions.leave(stream, key)
        stream.joined.clear()
        if stream.slow:
            self._metrics.aborted.labels("slow").inc()
            logger.info("slow_client.aborted", user=stream.user_id)

    async def _serve(
        self, stream: Stream, catch_up: StreamCatchUp | None, _scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Send the response: the queue of the stream, until it ends or the client disconnects."""
        tasks = [asyncio.create_task(_end_at_disconnect(stream, receive), name="stream client")]
        if catch_up is not None and not stream.live:
            tasks.append(asyncio.create_task(catch_up.run(), name="stream catch-up"))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            await stream.copy_to(send)
        finally:
            for task in tasks:
                task.cancel()
            self._close(stream)


async def _end_at_disconnect(stream: Stream, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.end()


def _transport(scope: Scope) -> asyncio.Transport:
    transport: asyncio.Transport = scope["extensions"][TRANSPORT]["transport"]
    return transport

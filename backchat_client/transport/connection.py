"""One Socket.IO connection, from connect to loss. It is not reused; the next connection is a new object."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import socketio

from backchat_client.errors import Refused, Unknown
from backchat_client.wire import Payload, seconds

CONNECT_TIMEOUT = 10.0  # seconds until `ready`
ACK_TIMEOUT = 8.0  # seconds; the server answers within 6 (contract P7): above it, the connection is lost
CLOSE_TIMEOUT = 2.0  # seconds for a clean disconnect, which a lost peer does not answer

logger = logging.getLogger(__name__)

Answered = Callable[[Any], None]


class Connection:
    """A connection that reports events and acks by synchronous callbacks, in the order of arrival.

    python-socketio starts a task for each packet. Tasks start in order, so synchronous handlers and ack callbacks keep
    the order; in a coroutine, or in code after `await sio.call(…)`, a later event could overtake an ack.
    """

    def __init__(
        self, url: str, *, on_event: Callable[[str, Payload], None], on_lost: Callable[[Connection], None]
    ) -> None:
        self.url = url
        self._on_event = on_event
        self._on_lost = on_lost
        loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[Payload] = loop.create_future()
        self._lost: asyncio.Future[None] = loop.create_future()
        self._refusal: Any = None
        self._timers: set[asyncio.TimerHandle] = set()
        self._outgoing: asyncio.Queue[tuple[str, Payload, Answered]] = asyncio.Queue()
        self._writer: asyncio.Task[None] | None = None
        self._socket = socketio.AsyncClient(reconnection=False, handle_sigint=False)
        self._socket.on("*", self._event_received)
        self._socket.on("connect_error", self._refused)
        self._socket.on("disconnect", self._disconnected)

    async def open(self, token: str) -> Payload:
        """Connect, and return the payload of `ready`.

        Raises:
            Refused: a `connect_error` with a code.
            Unknown: the connection failed.
        """
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await self._socket.connect(
                    self.url, auth={"token": token}, transports=["websocket"], wait_timeout=CONNECT_TIMEOUT
                )
                ready = await self._ready
        except BaseException as error:
            await self._disconnect()
            ours = isinstance(error, asyncio.CancelledError) and not self._lost.done()
            if ours or not isinstance(error, Exception | asyncio.CancelledError):
                raise
            raise self._reason(error) from error
        self._writer = asyncio.create_task(self._write(), name="backchat-client-writer")
        return ready

    def emit(self, event: str, payload: Payload, answered: Answered) -> None:
        """Send an event. `answered` gets its ack, or `None` if none arrives in time; then the connection is dropped.

        If the connection is lost first, `answered` is not called.
        """
        if self._lost.done():
            return

        def missing() -> None:
            self._timers.discard(timer)
            logger.info("connection.dropped event=%s reason=ack_timeout", event)
            answered(None)
            self.drop()

        def ack(*arguments: Any) -> None:
            if timer in self._timers:
                self._timers.discard(timer)
                timer.cancel()
                answered(arguments[0] if arguments else None)

        timer = asyncio.get_running_loop().call_later(ACK_TIMEOUT, missing)
        self._timers.add(timer)
        self._outgoing.put_nowait((event, payload, ack))

    def drop(self) -> None:
        """End the connection; it reports nothing more."""
        if self._lost.done():
            return
        self._lost.set_result(None)
        self._ready.cancel()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if self._writer:
            self._writer.cancel()
        self._on_lost(self)

    async def lost(self) -> None:
        """Wait until the connection is lost or dropped."""
        await asyncio.shield(self._lost)

    async def close(self) -> None:
        """Drop the connection and disconnect cleanly, if the server still answers."""
        self.drop()
        await self._disconnect()

    async def _disconnect(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._socket.disconnect()
        except Exception:  # the connection has ended in any case; its HTTP session is closed below
            logger.debug("disconnect.failed", exc_info=True)
        if (session := self._socket.eio.http) is not None:
            await session.close()

    async def _write(self) -> None:
        while True:
            event, payload, ack = await self._outgoing.get()
            try:
                await self._socket.emit(event, payload, callback=ack)
            except socketio.exceptions.SocketIOError:
                self.drop()
                return

    def _event_received(self, event: str, *arguments: Any) -> None:
        payload = arguments[0] if arguments and isinstance(arguments[0], dict) else {}
        if self._lost.done():
            return
        if event == "ready" and not self._ready.done():
            self._ready.set_result(payload)
            return
        self._on_event(event, payload)

    def _refused(self, data: Any = None) -> None:
        self._refusal = data

    def _disconnected(self, *_: Any) -> None:
        self.drop()

    def _reason(self, error: BaseException) -> Exception:
        data = self._refusal.get("data") if isinstance(self._refusal, dict) else None
        if isinstance(data, dict) and isinstance(data.get("code"), str):
            message = str(self._refusal.get("message", ""))
            return Refused(data["code"], message, retry_after=seconds(data.get("retry_after")) or None)
        return Unknown(f"{self.url}: {type(error).__name__}")

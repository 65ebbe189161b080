"""TCP proxy between a process and a server that can cut, stall and delay connections."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Self

from tests.support.waiting import until

DELAY = 0.15  # seconds that a slow link adds in each direction
STALL_POLL = 0.1  # seconds between two checks for the end of a stall
STOP_TIMEOUT = 20.0  # seconds; takes milliseconds on an idle machine


class Proxy:
    """Listens on a port of 127.0.0.1 and forwards every connection to `target` (host, port)."""

    def __init__(self, target: tuple[str, int], port: int) -> None:
        self.port = port
        self.delay = 0.0  # seconds added to each chunk, in each direction
        self.stalled = False
        self._target = target
        self._server: asyncio.Server | None = None
        self._ends: set[_End] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> Self:
        """Start listening."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _End(self), "127.0.0.1", self.port)
        return self

    async def stop(self) -> None:
        """Stop listening and cut all connections, including those accepted during the stop.

        Raises:
            AssertionError: connections or tasks remain.
        """
        if self._server:
            self._server.close()

        def stopped() -> bool:
            self.cut()
            for task in self._tasks:
                task.cancel()
            return not (self._ends or self._tasks)

        await until(stopped, STOP_TIMEOUT, every=0.001)

    def cut(self) -> None:
        """Reset every connection (RST)."""
        for end in list(self._ends):
            end.abort()

    def lead_to(self, target: tuple[str, int]) -> None:
        """Forward new connections to another target; open ones stay."""
        self._target = target

    def stall(self) -> None:
        """Stop forwarding on old and new connections and keep them open: both sides see a silent peer."""
        self.stalled = True
        for end in self._ends:
            end.hold()

    def resume(self) -> None:
        """Forward what the stall held back, and everything after it."""
        self.stalled = False
        for end in self._ends:
            end.release()

    def cut_and_resume(self) -> None:
        """Reset the stalled connections and forward new ones."""
        self.cut()
        self.resume()

    def slow_down(self) -> None:
        """Add DELAY to everything."""
        self.delay = DELAY

    def speed_up(self) -> None:
        """Remove the delay."""
        self.delay = 0.0

    def accepted(self, end: _End) -> None:
        """Connect a new client to the target."""
        task = asyncio.create_task(self._connect(end))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def entered(self, end: _End) -> None:
        """Register one side of a connection."""
        self._ends.add(end)
        if self.stalled:
            end.hold()

    def left(self, end: _End) -> None:
        """Unregister one side of a connection."""
        self._ends.discard(end)

    async def _connect(self, end: _End) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: _End(self, end), *self._target)
        except OSError:
            end.abort()


class _End(asyncio.Protocol):
    """One side of a proxied connection; `peer` is the opposite side."""

    def __init__(self, proxy: Proxy, peer: _End | None = None) -> None:
        self._proxy = proxy
        self._peer = peer
        self._waiting: deque[tuple[float, bytes]] = deque()  # (due time, chunk)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._proxy.entered(self)
        if self._peer is None:
            transport.pause_reading()  # until the target has accepted
            self._proxy.accepted(self)
        elif self._peer.closing:
            self.abort()
        else:
            self._peer.joined(self)

    def joined(self, peer: _End) -> None:
        """Set the side of the target and start forwarding."""
        self._peer = peer
        self.release()

    @property
    def closing(self) -> bool:
        """Whether this side is closed."""
        return self._transport.is_closing()

    def hold(self) -> None:
        """Pause reading."""
        if not self.closing:
            self._transport.pause_reading()

    def release(self) -> None:
        """Resume reading."""
        if not self.closing and self._peer is not None and not self._proxy.stalled:
            self._transport.resume_reading()

    def abort(self) -> None:
        """Reset this side; `connection_lost` then closes the opposite side."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        assert self._peer is not None
        if not self._proxy.delay and not self._waiting:
            self._peer.write(data)
            return
        self._waiting.append((self._loop.time() + self._proxy.delay, data))
        self._loop.call_later(self._proxy.delay, self._pass_on)

    def _pass_on(self) -> None:
        assert self._peer is not None
        if self._waiting:  # one call per chunk: keeps the order at any clock resolution
            self._peer.write(self._waiting.popleft()[1])

    def write(self, data: bytes) -> None:
        """Send a chunk that the opposite side received."""
        if not self.closing:
            self._transport.write(data)

    def pause_writing(self) -> None:
        if self._peer is not None:
            self._peer.hold()

    def resume_writing(self) -> None:
        if self._peer is not None:
            self._peer.release()

    def connection_lost(self, _error: Exception | None) -> None:
        self._proxy.left(self)
        if self._peer is not None and not self._peer.closing:
            self._peer.finish()

    def finish(self) -> None:
        """Send the delayed chunks of the closed opposite side, then close."""
        if self._proxy.stalled:
            self._loop.call_later(STALL_POLL, self._finish_later)
            return
        peer = self._peer
        while peer is not None and peer._waiting:
            self.write(peer._waiting.popleft()[1])
        self._transport.close()

    def _finish_later(self) -> None:
        if not self.closing:
            self.finish()

"""A TCP proxy that cuts, stalls and delays, between one process and one server."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Self

DELAY = 0.15  # seconds by which a slow link is late, in each direction
STALL_POLL = 0.1  # seconds between two looks whether a stall is over
STOP_TIMEOUT = 20.0  # seconds for what takes milliseconds


class Proxy:
    """Listens on a free port of 127.0.0.1 and passes every connection on to `target` (host, port)."""

    def __init__(self, target: tuple[str, int], port: int) -> None:
        self.port = port
        self.delay = 0.0  # seconds by which each chunk is late, in each direction
        self.stalled = False
        self._target = target
        self._server: asyncio.Server | None = None
        self._ends: set[_End] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> Self:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _End(self), "127.0.0.1", self.port)
        return self

    async def stop(self) -> None:
        """Stop listening and cut everything, who is let in meanwhile included.

        Raises:
            TimeoutError: something goes on all the same.
        """
        if self._server:
            self._server.close()
        async with asyncio.timeout(STOP_TIMEOUT):
            while self._ends or self._tasks:  # a turn of the loop or two
                self.cut()
                for task in self._tasks:
                    task.cancel()
                await asyncio.sleep(0.001)

    def cut(self) -> None:
        """End every connection now, without a word (RST)."""
        for end in list(self._ends):
            end.abort()

    def stall(self) -> None:
        """Pass nothing on, in old connections and new ones, and close nothing: both sides see a silent peer."""
        self.stalled = True
        for end in self._ends:
            end.hold()

    def resume(self) -> None:
        """Pass on what waited."""
        self.stalled = False
        for end in self._ends:
            end.release()

    def cut_and_resume(self) -> None:
        """Drop what waited and every connection with it; new ones pass."""
        self.cut()
        self.resume()

    def slow_down(self) -> None:
        """Pass everything on late."""
        self.delay = DELAY

    def speed_up(self) -> None:
        """Pass everything on at once."""
        self.delay = 0.0

    def accepted(self, end: _End) -> None:
        """A client has connected: connect to the target."""
        task = asyncio.create_task(self._connect(end))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def entered(self, end: _End) -> None:
        """Keep a connection's end."""
        self._ends.add(end)
        if self.stalled:
            end.hold()

    def left(self, end: _End) -> None:
        """Forget it."""
        self._ends.discard(end)

    async def _connect(self, end: _End) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: _End(self, end), *self._target)
        except OSError:
            end.abort()


class _End(asyncio.Protocol):
    """One side of a proxied connection; `peer` is the other."""

    def __init__(self, proxy: Proxy, peer: _End | None = None) -> None:
        self._proxy = proxy
        self._peer = peer
        self._waiting: deque[tuple[float, bytes]] = deque()  # when it is due, and what

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._proxy.entered(self)
        if self._peer is None:
            transport.pause_reading()  # until the target has answered
            self._proxy.accepted(self)
        elif self._peer.closing:
            self.abort()
        else:
            self._peer.joined(self)

    def joined(self, peer: _End) -> None:
        """The target's side is there."""
        self._peer = peer
        self.release()

    @property
    def closing(self) -> bool:
        """Whether this side is gone."""
        return self._transport.is_closing()

    def hold(self) -> None:
        """Stop reading."""
        if not self.closing:
            self._transport.pause_reading()

    def release(self) -> None:
        """Read on."""
        if not self.closing and self._peer is not None and not self._proxy.stalled:
            self._transport.resume_reading()

    def abort(self) -> None:
        """Cut this side; the other follows."""
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
        if self._waiting:  # one call for each chunk, so order holds whatever the clock's resolution
            self._peer.write(self._waiting.popleft()[1])

    def write(self, data: bytes) -> None:
        """Send what the other side got."""
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
        """The other side has ended: send what is still due, then end."""
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

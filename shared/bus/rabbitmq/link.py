"""One connection to the broker, kept alive for ever, and calls on it that end in bounded time."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import aiormq
import structlog
from aiormq.abc import AbstractChannel, AbstractConnection
from aiormq.connection import TCPTransportFactory, TLSTransportFactory, TransportFactory
from yarl import URL

logger = structlog.get_logger(__name__)

T = TypeVar("T")

HEARTBEAT = 2  # seconds: a paused consumer's successor takes over after about 5
CONNECT_TIMEOUT = 5.0  # seconds for TCP, TLS, login and opening the virtual host
CALL_TIMEOUT = 5.0  # seconds for one answer of the broker
CLOSE_TIMEOUT = 1.0  # seconds for a polite good-bye
WATCH_INTERVAL = 5.0  # seconds
BACKOFF_FIRST = 0.1  # seconds
BACKOFF_MAX = 5.0  # seconds

_abandoned: set[asyncio.Task[Any]] = set()  # the loop itself holds tasks only weakly


class Broken(Exception):
    """The connection or channel is gone, or the broker did not answer in time."""


async def call(work: Coroutine[Any, Any, T], seconds: float = CALL_TIMEOUT) -> T:
    """Run one exchange with the broker, in its own task, for `seconds` at most.

    aiormq ends waiters with a `CancelledError` when a connection goes, and its own clean-up may hang on a
    frozen broker; neither reaches the caller.

    Raises:
        aiormq.AMQPChannelError: the broker refused this call (403, 404, 405, 406) and closed the channel.
        Broken: anything else.
    """
    task = asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        _abandon(task)
        raise
    if not done:
        _abandon(task)
        raise Broken("no answer in time")
    if task.cancelled():
        raise Broken("closed")
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, aiormq.AMQPChannelError):
        raise error
    raise Broken(f"{type(error).__name__}: {error}") from error


async def open_channel(connection: AbstractConnection, *, publisher_confirms: bool) -> AbstractChannel:
    """A channel whose frames never hold up those of the others.

    aiormq's default buffer of 10 frames blocks the reader of the whole connection, heartbeats included, once the
    channel's own reader is gone: what a broker still delivers to a channel that it has not yet closed would freeze all
    of them for 9 s. Without the bound the prefetch bounds it.
    """
    return await call(connection.channel(publisher_confirms=publisher_confirms, frame_buffer_size=0))


def _abandon(task: asyncio.Task[Any]) -> None:
    task.cancel()
    _abandoned.add(task)
    task.add_done_callback(_forget)


def _forget(task: asyncio.Task[Any]) -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()  # read, so that asyncio does not report it


def report_death(task: asyncio.Task[Any]) -> None:
    """Log a task of the bus that ended by itself: a fault of ours, since none of them ever ends so."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.critical("task died", task=task.get_name(), exc_info=error)


def backoff(attempt: int) -> float:
    """Seconds to wait before the next try: exponential, bounded, half of it random."""
    ceiling = min(BACKOFF_MAX, BACKOFF_FIRST * 2.0 ** min(attempt, 16))
    return ceiling * random.uniform(0.5, 1.0)  # noqa: S311 - spread, not secrecy


class _Transport(TransportFactory):
    """Remembers the writer, so that a connection can be cut at once."""

    def __init__(self, scheme: str) -> None:
        self._factory = TLSTransportFactory() if scheme == "amqps" else TCPTransportFactory()
        self._writer: asyncio.StreamWriter | None = None

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, self._writer = await self._factory.create(url, **kwargs)
        return reader, self._writer

    def abort(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()


class Link:
    """Connects, and connects again; several addresses are tried in turn.

    `prepare` runs on each new connection before anybody may use it; if it fails, so did the connection.
    """

    def __init__(
        self,
        addresses: list[URL],
        *,
        name: str,
        prepare: Callable[[aiormq.Connection], Awaitable[None]],
        on_loss: Callable[[], None],
    ) -> None:
        self._addresses = [address.update_query(heartbeat=str(HEARTBEAT)) for address in addresses]
        self._name = name
        self._prepare = prepare
        self._on_loss = on_loss
        self._transport: _Transport | None = None
        self._connection: aiormq.Connection | None = None
        self._ready = asyncio.Event()

    @property
    def open(self) -> bool:
        """Whether the connection is there and prepared."""
        return self._ready.is_set() and self._connection is not None and not self._connection.is_closed

    async def current(self) -> aiormq.Connection:
        """The connection, as soon as there is one."""
        await self._ready.wait()
        assert self._connection is not None
        return self._connection

    async def run(self) -> None:
        """Keep the connection alive until cancelled."""
        attempt = 0
        for turn in itertools.count():
            address = self._addresses[turn % len(self._addresses)]
            try:
                self._connection = await self._connect(address)
                await self._prepare(self._connection)
            except (Broken, aiormq.AMQPError) as error:
                self.abort()
                wait = backoff(attempt)
                attempt += 1
                where = f"{address.host}:{address.port or 'default'}"
                logger.warning("no broker", link=self._name, address=where, reason=str(error), retry_in=round(wait, 2))
                await asyncio.sleep(wait)
                continue
            since = asyncio.get_running_loop().time()
            logger.info("broker connected", link=self._name)
            self._ready.set()
            await self._watch(self._connection)
            self._ready.clear()
            self.abort()
            self._on_loss()
            logger.warning("broker connection lost", link=self._name)
            stable = asyncio.get_running_loop().time() - since > BACKOFF_MAX
            attempt = 0 if stable else attempt + 1
            if not stable:
                await asyncio.sleep(backoff(attempt))

    @staticmethod
    async def _watch(connection: aiormq.Connection) -> None:
        """Return when the connection is closed, or one of its tasks ended without closing it."""
        closing = connection.closing
        while connection.is_opened and not closing.done():
            await asyncio.wait({closing}, timeout=WATCH_INTERVAL)

    async def _connect(self, address: URL) -> aiormq.Connection:
        self._transport = _Transport(address.scheme)
        connection = aiormq.Connection(
            address,
            transport_factory=self._transport,
            client_properties={"connection_name": self._name, "product": "backchat"},
        )
        await call(connection.connect(), CONNECT_TIMEOUT)
        return connection

    def abort(self) -> None:
        """Cut the connection without a word; `run` makes a new one."""
        if self._transport is not None:
            self._transport.abort()

    def abandon(self, connection: AbstractConnection) -> None:
        """Cut this connection, if it is still the one in use, after a channel of it was not closed in time.

        aiormq says good-bye a second time for a good-bye that was given up; the broker, which may have heard the first,
        takes that for an error of the whole connection, and it would hit whoever has the channel's number by then.
        """
        if connection is self._connection:
            self.abort()

    async def close(self) -> None:
        """Say good-bye, and cut the connection if the broker does not answer; call after `run` was cancelled."""
        self._ready.clear()
        if self._connection is not None and not self._connection.is_closed:
            try:
                await call(self._connection.write_queue.join(), CLOSE_TIMEOUT)  # acks; closing would drop them
                await call(self._connection.close(), CLOSE_TIMEOUT)
            except (Broken, aiormq.AMQPError):
                logger.warning("broker did not say good-bye", link=self._name)
        self.abort()

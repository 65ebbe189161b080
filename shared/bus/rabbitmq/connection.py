"""One supervised connection to the broker: reconnects until it is stopped."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import AMQPError
from yarl import URL

from shared.backoff import Backoff
from shared.bus.rabbitmq.calls import CallFailed, call, in_background
from shared.bus.rabbitmq.sockets import Sockets

logger = structlog.get_logger(__name__)

HEARTBEAT = 2  # seconds: a paused consumer's successor takes over after about 5
CONNECT_TIMEOUT = 5.0  # seconds for TCP, TLS, login and opening the virtual host
CLOSE_TIMEOUT = 1.0  # seconds for the broker's answer to a close
WATCH_INTERVAL = 5.0  # seconds
BACKOFF_FIRST = 0.1  # seconds
BACKOFF_MAX = 5.0  # seconds


class Connection(aio_pika.Connection):
    """aio-pika's connection with two options of aiormq that aio-pika does not pass on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sockets = Sockets()
        self.kwargs["transport_factory"] = self._sockets

    async def connect(self, timeout: float | None = None) -> None:
        """Connect, and give all channels unbounded frame buffers.

        aiormq's default buffer of 10 frames blocks the reader of the whole connection, heartbeats included, once a
        channel's own reader has ended: what the broker delivers to a channel before it has handled its close would
        stop all channels for 9 s. Without this bound the prefetch bounds the buffer.

        Raises:
            ConnectionRefused: the broker refuses user, password or virtual host.
            AMQPConnectionError: no broker answers as it should.
        """
        try:
            await super().connect(timeout)
        except Exception as error:
            if refusal := self._sockets.refusal():
                raise refusal from error
            raise
        self._sockets.opened()
        assert self.transport is not None
        engine = self.transport.connection
        engine.channel = partial(engine.channel, frame_buffer_size=0)  # type: ignore[method-assign]

    @property
    def alive(self) -> bool:
        """Whether the connection is open and both of its tasks run."""
        return self.transport is not None and self.transport.connection.is_opened

    def abort(self) -> None:
        """Close the socket at once, without AMQP's closing handshake."""
        self._sockets.abort()


async def open_channel(connection: Connection, *, publisher_confirms: bool = False) -> AbstractChannel:
    """Open a channel. With confirms, the publication of an unroutable mandatory message raises `PublishError`.

    Raises:
        CallFailed: the broker did not answer, or the connection was lost.
    """

    async def opened() -> AbstractChannel:
        channel = connection.channel(publisher_confirms=publisher_confirms, on_return_raises=publisher_confirms)
        await channel.initialize()
        return channel

    return await call(opened())


def closing(channel: AbstractChannel) -> asyncio.Future[BaseException | None]:
    """Return a future that is set to the cause when the channel closes, with or without its connection."""
    closed: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    def set_cause(_: object, error: BaseException | None) -> None:
        if not closed.done():
            closed.set_result(error)

    channel.close_callbacks.add(set_cause)
    if channel.is_closed:
        set_cause(channel, None)
    return closed


class ConnectionSupervisor:
    """Connects, and reconnects after every loss; several addresses are tried in turn.

    `prepare` runs on each new connection before `current` returns it; if it fails, the connection is replaced.
    `on_loss` is called after each loss.
    """

    def __init__(
        self,
        addresses: list[URL],
        *,
        name: str,
        prepare: Callable[[Connection], Awaitable[None]],
        on_loss: Callable[[], None],
    ) -> None:
        self._addresses = [address.update_query(heartbeat=str(HEARTBEAT)) for address in addresses]
        self._name = name
        self._prepare = prepare
        self._on_loss = on_loss
        self._connection: Connection | None = None
        self._closing: set[asyncio.Future[None]] = set()
        self._lost = asyncio.Event()
        self._cause: BaseException | None = None  # of the loss
        self._ready = asyncio.Event()

    @property
    def open(self) -> bool:
        """Whether a connection is open and prepared."""
        return self._ready.is_set() and self._connection is not None and self._connection.alive

    async def current(self) -> Connection:
        """Wait for a prepared connection and return it."""
        await self._ready.wait()
        assert self._connection is not None
        return self._connection

    async def run(self) -> None:
        """Keep a connection open until cancelled."""
        backoff = Backoff(BACKOFF_FIRST, BACKOFF_MAX)
        for turn in itertools.count():
            address = self._addresses[turn % len(self._addresses)]
            try:
                self._connection = await self._connect(address)
                await self._prepare(self._connection)
            except (CallFailed, AMQPError) as error:
                self._discard()
                wait = backoff.next()
                where = f"{address.host}:{address.port or 'default'}"
                self._log(
                    "connection.refused",
                    address=where,
                    reason=str(error),
                    retry_in=round(wait, 2),
                    collapse=f"{where} {error}",
                )
                await asyncio.sleep(wait)
                continue
            since = asyncio.get_running_loop().time()
            logger.info("broker.connected", connection=self._name)
            self._ready.set()
            await self._watch(self._connection)
            self._ready.clear()
            self._discard()
            self._on_loss()
            reason = f"{type(self._cause).__name__}: {self._cause}" if self._cause else "closed"
            self._log("connection.lost", reason=reason, collapse=f"{self._name} {reason}")
            if asyncio.get_running_loop().time() - since > BACKOFF_MAX:
                backoff.reset()
            else:
                await asyncio.sleep(backoff.next())

    async def _connect(self, address: URL) -> Connection:
        properties: dict[str, Any] = {"connection_name": self._name, "product": "backchat"}
        connecting = aio_pika.connect(address, client_properties=properties, connection_class=Connection)
        connection = await call(connecting, CONNECT_TIMEOUT)
        self._lost = lost = asyncio.Event()
        self._cause = None

        def closed(_: object, cause: BaseException | None) -> None:
            self._cause = self._cause or cause
            lost.set()

        connection.close_callbacks.add(closed)
        return connection

    async def _watch(self, connection: Connection) -> None:
        """Return when the connection is closed, or one of its tasks ended without closing it."""
        while connection.alive and not self._lost.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH_INTERVAL):
                    await self._lost.wait()

    def abort(self) -> None:
        """Close the connection's socket at once; `run` makes a new connection."""
        if self._connection is not None:
            self._connection.abort()

    def abandon(self, connection: Connection) -> None:
        """Abort this connection, if it is still the one in use, after one of its channels was not closed in time.

        aiormq sends a second Channel.Close for one that was given up. The broker, which may have handled the first,
        takes it for an error of the whole connection, or it closes another channel that has the number by then.
        """
        if connection is self._connection:
            self.abort()

    def _discard(self) -> None:
        if self._connection is not None:
            self._connection.abort()
            self._close_in_background(self._connection)

    def _close_in_background(self, connection: Connection) -> None:
        """Close a connection; also a lost one, which aio-pika marks as closed only after `close`.

        Never cancelled: cancelled at the end of the event loop, aio-pika's `close` may wait permanently.
        """
        self._closing.add(closed := in_background(connection.close()))
        closed.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close the connection, and abort it if the broker does not answer; call after `run` was cancelled."""
        self._ready.clear()
        if self._connection is not None:
            self._close_in_background(self._connection)
            if (await asyncio.wait(self._closing, timeout=CLOSE_TIMEOUT))[1]:
                self._log("connection.close_timed_out")
                self._connection.abort()
                await asyncio.wait(self._closing, timeout=CLOSE_TIMEOUT)

    def _log(self, event: str, **fields: Any) -> None:
        logger.warning(event, connection=self._name, **fields)

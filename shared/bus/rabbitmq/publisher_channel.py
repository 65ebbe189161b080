"""The channel with publisher confirms: reopened after a loss, renewed when a refusal may be its own fault.

Bodies are written as frames, and their confirms come through the registers of aio-pika's underlay channel, because
`Exchange.publish` costs a task, a lock and a write a body (ADR 0029).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aiormq
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import AMQPError
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from shared.bus.rabbitmq.calls import CallFailed, call
from shared.bus.rabbitmq.connection import Connection, ConnectionSupervisor, closing, open_channel
from shared.bus.rabbitmq.frames import Frame, is_congested, underlay_of, write
from shared.contracts.topology import Exchange

RETRY_INTERVAL = 0.05  # seconds
RENEWAL_INTERVAL = 1.0  # seconds between two channels, while the broker refuses
RENEWAL_PATIENCE = 1.0  # seconds that a renewal waits for outcomes on the old channel
CONTENT_TYPE = "application/cloudevents-batch+json"  # CloudEvents 1.0, JSON format, section 4


class PublisherChannel:
    """Keeps one channel open on the supervisor's connection.

    `opened` is called when events can be published; publications of an earlier `generation` get no outcome any more.
    `lost` is called with the cause when there is no channel.
    """

    def __init__(
        self,
        supervisor: ConnectionSupervisor,
        *,
        opened: Callable[[], None],
        lost: Callable[[BaseException | None], None],
    ) -> None:
        self.generation = 0  # of the channel; 0: none
        self._generations = 0
        self._supervisor = supervisor
        self._opened = opened
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._channel: AbstractChannel | None = None
        self._underlay: aiormq.Channel | None = None
        self._closing: asyncio.Future[BaseException | None] = self._loop.create_future()
        self._frames: list[Frame] = []  # of the next write
        self._renewal: asyncio.Future[None] = self._loop.create_future()  # done: the channel is to be renewed
        self._renewing = False
        self._renewal_due = False
        self._since = 0.0  # the loop's time

    @property
    def open(self) -> bool:
        """Whether a channel is open."""
        return self._channel is not None and not self._channel.is_closed

    @property
    def accepts(self) -> bool:
        """Whether events can be published at the moment."""
        return self.open and not self._renewing

    @property
    def congested(self) -> bool:
        """Whether the connection's writer is so far behind that nothing more can be written at the moment."""
        return self._underlay is not None and is_congested(self._underlay)

    def publish(self, exchange: Exchange, key: str, body: bytes) -> asyncio.Future[Any]:
        """Add a body to the next `write`; call this only if the channel `accepts`.

        Returns:
            A future that is done when the broker confirmed. It has a `PublishError` if no queue takes the body, another
            `DeliveryError` if a queue refuses it, and any other error or a cancellation if the channel is lost.
        """
        channel = self._underlay
        assert channel is not None
        channel.delivery_tag = tag = channel.delivery_tag + 1
        name = str(tag)  # the message id, by which aiormq finds the publication that the broker returned
        channel.confirmations[tag] = confirm = channel.create_future()
        channel.message_id_delivery_tag[name] = tag
        confirm.add_done_callback(lambda _: channel.message_id_delivery_tag.pop(name, None))
        properties = Basic.Properties(
            content_type=CONTENT_TYPE, delivery_mode=2 if exchange.persistent else 1, message_id=name
        )
        size = channel.max_content_size
        self._frames += [
            Basic.Publish(exchange=exchange.name, routing_key=key, mandatory=exchange.mandatory),
            ContentHeader(body_size=len(body), properties=properties),
            *(ContentBody(body[start : start + size]) for start in range(0, len(body), size)),
        ]
        return confirm

    def write(self) -> None:
        """Write the bodies added since the last call, in their order and all at once."""
        frames, self._frames = self._frames, []
        if frames and self._underlay is not None:
            write(self._underlay, frames)

    def renew_soon(self) -> None:
        """Replace the channel, at most once in `RENEWAL_INTERVAL`: a queue that refuses may not be full at all.

        A channel of RabbitMQ 3.10 that first publishes to a quorum queue just after its leader's node failed continues
        to ask that node, and refuses permanently (observed on 3.10.8).
        """
        if not self._renewal_due:
            self._renewal_due = True
            self._loop.call_at(self._since + RENEWAL_INTERVAL, _set, self._renewal)

    async def run(self) -> None:
        """Keep a channel open until cancelled."""
        while True:
            connection = await self._supervisor.current()
            try:
                channel = await open_channel(connection, publisher_confirms=True)
                await self._use(channel)
            except (CallFailed, AMQPError):
                await asyncio.sleep(RETRY_INTERVAL)
                continue
            while await self._renewal_is_due():
                await self._renew(connection)
            self._channel, self.generation = None, 0
            self._lost(self._closing.result())

    async def _renewal_is_due(self) -> bool:
        """Wait until the channel closes (false) or is to be renewed (true)."""
        waiting: set[asyncio.Future[Any]] = {self._closing, self._renewal}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        return not self._closing.done()

    async def _renew(self, connection: Connection) -> None:
        """Open a new channel in place of the old one, which stays if the broker gives none.

        Publications in flight get some time for their outcome; those that have none then are sent again.
        """
        self._renewing = True
        old = self._channel
        assert old is not None
        assert self._underlay is not None
        if in_flight := list(self._underlay.confirmations.values()):
            await asyncio.wait(in_flight, timeout=RENEWAL_PATIENCE)
        try:
            new = await open_channel(connection, publisher_confirms=True)
            await call(old.close())  # first: bodies on the old channel must not arrive after those on the new one
        except (CallFailed, AMQPError):
            await self._use(old)
        else:
            await self._use(new)

    async def _use(self, channel: AbstractChannel) -> None:
        if channel is not self._channel:
            self._underlay = await underlay_of(channel)
            self._channel = channel
            self._closing = closing(channel)
            self.generation = self._generations = self._generations + 1
        self._since = self._loop.time()
        self._renewal = self._loop.create_future()
        self._renewing = self._renewal_due = False
        self._opened()

    def close(self) -> None:
        """Publish no more; the connection is closed next."""
        self._channel, self.generation = None, 0


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)

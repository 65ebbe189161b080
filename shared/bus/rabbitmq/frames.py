"""Frames written straight to a channel: the operations of every message, which bypass aio-pika (ADR 0029)."""

from __future__ import annotations

from collections.abc import Sequence

import aiormq
from aio_pika.abc import AbstractChannel
from aiormq.abc import ChannelFrame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from shared.bus.rabbitmq.calls import call

Frame = Basic.Ack | Basic.Publish | ContentHeader | ContentBody


async def underlay_of(channel: AbstractChannel) -> aiormq.Channel:
    """Return aiormq's channel below one of aio-pika that is open."""
    underlay = await channel.get_underlay_channel()
    assert isinstance(underlay, aiormq.Channel)
    return underlay


def probe(exchange: str) -> Sequence[Frame]:
    """Return an empty publication that no queue takes: its routing key has a blank, which no queue or binding has."""
    return [
        Basic.Publish(exchange=exchange, routing_key="alarm probe"),
        ContentHeader(body_size=0, properties=Basic.Properties(delivery_mode=1)),
    ]


def is_congested(channel: aiormq.Channel) -> bool:
    """Whether the connection's writer is so far behind that `write` would fail."""
    return channel.write_queue.full()


def write(channel: aiormq.Channel, frames: Sequence[Frame]) -> None:
    """Queue frames to be written in one piece, after all earlier ones of the connection.

    Raises:
        asyncio.QueueFull: the channel is congested.
    """
    channel.write_queue.put_nowait(ChannelFrame.marshall(channel.number, frames))


async def write_when_possible(channel: aiormq.Channel, frames: Sequence[Frame]) -> None:
    """Queue frames; wait while the channel is congested.

    Raises:
        CallFailed: it was congested for too long.
    """
    if is_congested(channel):
        await call(channel.write_queue.put(ChannelFrame.marshall(channel.number, frames)))
    else:
        write(channel, frames)


async def flush(channel: aiormq.Channel, seconds: float) -> None:
    """Wait until all frames of the channel's connection are written; closing it would drop them.

    Raises:
        CallFailed: they are not, after `seconds`.
    """
    await call(channel.write_queue.join(), seconds)

"""Alarms of a real RabbitMQ: its limits are set so that it has too little memory, disk, or both."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from tests.support.rabbitmq import RABBITMQ_LIMITS, RabbitMQ

KINDS = [["memory"], ["disk"], ["memory", "disk"]]

_COMMANDS = {"memory": ["set_vm_memory_high_watermark", "absolute"], "disk": ["set_disk_free_limit"]}
_EXCEEDED = {"memory": "1", "disk": "100000GB"}


async def raise_alarms(broker: RabbitMQ, kinds: Sequence[str]) -> None:
    """Raise alarms; the broker blocks connections that publish before this returns."""
    for kind in kinds:
        await asyncio.to_thread(broker.ctl, *_COMMANDS[kind], _EXCEEDED[kind])


async def clear_alarms(broker: RabbitMQ, kinds: Sequence[str]) -> None:
    """Restore the limits of tests."""
    for kind in kinds:
        await asyncio.to_thread(broker.ctl, *_COMMANDS[kind], RABBITMQ_LIMITS[kind])


@contextlib.asynccontextmanager
async def alarmed(broker: RabbitMQ, kinds: Sequence[str]) -> AsyncIterator[None]:
    """Keep alarms raised inside the block."""
    await raise_alarms(broker, kinds)
    try:
        yield
    finally:
        await clear_alarms(broker, kinds)

"""Duplicate deliveries: a broker client that publishes every message a second time, as after a lost confirm."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import aiormq
from aiormq.abc import DeliveredMessage

from shared.contracts import topology
from tests.support.waiting import pause

PARTITIONS = 4
CHATBOT = "echo"
MARK = "x-duplicate"


class Duplicator:
    """Consumes copies of what is routed to the log, the turns and the gateways, and publishes them again with a mark."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = urls

    async def run(self, seconds: float) -> int:
        """Duplicate messages for some seconds; returns how many. Uses the first address that answers."""
        for url in self._urls:
            with contextlib.suppress(aiormq.AMQPError, OSError):
                return await self._duplicate(url, seconds)
        return 0

    async def _duplicate(self, url: str, seconds: float) -> int:
        copies = 0
        connection = await aiormq.connect(url)
        try:
            channel = await connection.channel()
            queue = (await channel.queue_declare(exclusive=True, auto_delete=True)).queue
            assert queue
            for exchange, key in _routes():
                await channel.queue_bind(queue, exchange, key)

            async def copy(message: DeliveredMessage) -> None:
                nonlocal copies
                properties = message.header.properties
                headers = dict(properties.headers or {})
                if MARK in headers:
                    return
                properties.headers = {**headers, MARK: True}
                assert message.exchange is not None
                copies += 1
                routing_key = message.routing_key or ""
                await channel.basic_publish(
                    message.body, exchange=message.exchange, routing_key=routing_key, properties=properties
                )

            await channel.basic_consume(queue, copy, no_ack=True)
            await pause(seconds, "the duration of the fault")
        finally:
            await connection.close()
        return copies


def _routes() -> list[tuple[str, str]]:
    keys = range(PARTITIONS)
    return [
        *((topology.log(PARTITIONS).name, str(n)) for n in keys),
        (topology.TURNS.name, CHATBOT),
        *((topology.DELIVERY.name, topology.session_key(n)) for n in keys),
        *((topology.DELIVERY.name, topology.user_key(n)) for n in keys),
    ]

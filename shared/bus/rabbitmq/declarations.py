"""Declares the topology table on the broker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from aio_pika.abc import AbstractChannel, AbstractQueue
from aio_pika.exceptions import ChannelNotFoundEntity

from shared.bus.rabbitmq.arguments import queue_arguments
from shared.bus.rabbitmq.calls import call, in_background
from shared.bus.rabbitmq.connection import Connection, open_channel
from shared.contracts.topology import Exchange, Queue


async def declare_exchange(channel: AbstractChannel, exchange: Exchange) -> None:
    """Declare one exchange; the default one always exists."""
    if exchange.name:
        await call(channel.declare_exchange(exchange.name, exchange.kind, durable=True))


async def declare_queue(channel: AbstractChannel, queue: Queue, name: str) -> AbstractQueue:
    """Declare one queue, the exchanges it is bound to, and its bindings.

    An exclusive queue is deleted with its consumer: it must not fill up unread if only its channel is lost.
    """
    exclusive = queue.kind == "exclusive"
    declared = await call(
        channel.declare_queue(
            name,
            durable=not exclusive,
            exclusive=exclusive,
            auto_delete=exclusive,
            arguments=queue_arguments(queue, name),
        )
    )
    await bind(channel, declared, queue.bindings)
    return declared


async def bind(channel: AbstractChannel, queue: AbstractQueue, bindings: Iterable[tuple[Exchange, str]]) -> None:
    """Bind a queue, after declaring the exchanges: a missing one would close the channel."""
    declared: set[str] = set()
    for exchange, key in bindings:
        if exchange.name not in declared:
            await declare_exchange(channel, exchange)
            declared.add(exchange.name)
        await call(queue.bind(exchange.name, key))


class TopologyChannel:
    """One channel of a connection for declarations and checks, reopened after an error.

    It is kept because aio-pika 10.2 leaks some memory for each channel that is closed before its connection.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._channel: AbstractChannel | None = None
        self._lock = asyncio.Lock()  # an error of one user would close the channel under another

    async def declare(self, exchanges: Sequence[Exchange], queues: Sequence[Queue]) -> None:
        """Declare exchanges and shared queues.

        Raises:
            AMQPChannelError: the broker refuses one that exists with other arguments.
            CallFailed: no answer in time, or the connection was lost.
        """
        if not exchanges and not queues:
            return
        async with self._lock:
            channel = await self._open()
            try:
                for exchange in exchanges:
                    await declare_exchange(channel, exchange)
                for queue in queues:
                    await declare_queue(channel, queue, queue.name)
            except BaseException:
                self._discard()
                raise

    async def exists(self, queue: Queue) -> bool:
        """Whether the broker knows this shared queue.

        Raises:
            AMQPError, CallFailed: the broker did not answer the question.
        """
        async with self._lock:
            channel = await self._open()
            try:
                await call(channel.declare_queue(queue.name, passive=True))
            except ChannelNotFoundEntity:
                self._discard()
                return False
            except BaseException:
                self._discard()
                raise
        return True

    async def _open(self) -> AbstractChannel:
        if self._channel is None or self._channel.is_closed:
            self._channel = await open_channel(self._connection)
        return self._channel

    def _discard(self) -> None:
        if self._channel is not None:
            in_background(self._channel.close())
            self._channel = None

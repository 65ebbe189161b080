"""Answers to requests: one exclusive queue a connection, freshly named, and who waits for which answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import uuid4

import aiormq
import structlog
from aiormq.abc import AbstractChannel, DeliveredMessage

from shared.bus.rabbitmq.link import call, open_channel
from shared.contracts.envelope import MalformedEvent, Received, read_body
from shared.errors import BackchatError, Unavailable

logger = structlog.get_logger(__name__)


class Replies:
    """The queue that answers come to, and their receivers."""

    def __init__(self, on_broken: Callable[[], None]) -> None:
        """`on_broken` hears when the channel closed though its connection goes on: it must be made anew."""
        self._on_broken = on_broken
        self.name: str | None = None  # the queue's name, while it is consumed
        self._channel: AbstractChannel | None = None
        self._receivers: dict[str, list[asyncio.Future[Received]]] = {}

    @property
    def open(self) -> bool:
        """Whether answers can come in."""
        return self.name is not None and self._channel is not None and not self._channel.is_closed

    async def prepare(self, connection: aiormq.Connection) -> None:
        """Declare and consume a fresh queue on a new connection; whoever waits on the old one waits in vain."""
        self.lost()
        name = f"replies.{uuid4()}"
        channel = await open_channel(connection, publisher_confirms=False)
        await call(channel.queue_declare(name, exclusive=True, arguments={"x-queue-type": "classic"}))
        await call(channel.basic_consume(name, self._receive, no_ack=True))
        self._channel, self.name = channel, name
        channel.on_consumer_cancel_callbacks.add(lambda _: self._on_broken())
        channel.closing.add_done_callback(lambda _: None if connection.is_closed else self._on_broken())

    def lost(self) -> None:
        """The queue is gone with its connection: fail everybody who waits."""
        self.name = None
        for event_id in list(self._receivers):
            self.fail(event_id, Unavailable("The connection to the broker was lost."))

    def expect(self, event_id: str) -> asyncio.Future[Received]:
        """The answer to a request; the same request may be sent twice at once."""
        answer: asyncio.Future[Received] = asyncio.get_running_loop().create_future()
        self._receivers.setdefault(event_id, []).append(answer)
        return answer

    def forget(self, event_id: str, answer: asyncio.Future[Received]) -> None:
        """Stop waiting."""
        receivers = self._receivers.get(event_id, [])
        if answer in receivers:
            receivers.remove(answer)
        if not receivers:
            self._receivers.pop(event_id, None)

    def fail(self, event_id: str, error: BackchatError) -> None:
        """No answer will come."""
        for answer in self._receivers.pop(event_id, []):
            if not answer.done():
                answer.set_exception(error)
                answer.exception()  # read: its waiter may have gone

    async def _receive(self, message: DeliveredMessage) -> None:
        try:
            events = read_body(message.body)
        except MalformedEvent:
            logger.exception("malformed answer")
            return
        for event in events:
            for answer in self._receivers.pop(event.correlationid or "", []):
                if not answer.done():
                    answer.set_result(event)

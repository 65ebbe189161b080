"""Matches responses to requests: an exclusive queue, fresh for each connection, and the callers that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import uuid4

import structlog
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from shared.bus.rabbitmq.calls import call
from shared.bus.rabbitmq.connection import Connection, closing, open_channel
from shared.contracts.envelope import MalformedEvent, Received, read_body
from shared.errors import BackchatError, Unavailable

logger = structlog.get_logger(__name__)


class Responses:
    """The response queue and the futures of pending requests.

    `on_broken` is called when the channel closed though its connection is open: the connection must be replaced.
    """

    def __init__(self, on_broken: Callable[[], None]) -> None:
        self._on_broken = on_broken
        self.name: str | None = None  # of the queue, while it is consumed
        self._channel: AbstractChannel | None = None
        self._pending: dict[str, list[asyncio.Future[Received]]] = {}  # by request id

    @property
    def open(self) -> bool:
        """Whether responses can be received."""
        return self.name is not None and self._channel is not None and not self._channel.is_closed

    async def prepare(self, connection: Connection) -> None:
        """Declare and consume a fresh queue on a new connection; requests of the earlier connection fail."""
        self.fail_all()
        name = f"replies.{uuid4()}"
        channel = await open_channel(connection)
        queue = await call(channel.declare_queue(name, exclusive=True, arguments={"x-queue-type": "classic"}))
        await call(queue.consume(self._receive, no_ack=True))
        self._channel, self.name = channel, name
        underlay = await channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(lambda _: self._on_broken())
        closing(channel).add_done_callback(lambda _: self._on_broken() if connection.alive else None)

    def fail_all(self) -> None:
        """Fail all pending requests: the queue is gone with its connection."""
        self.name = None
        for event_id in list(self._pending):
            self.fail(event_id, Unavailable("The connection to the broker was lost."))

    def expect(self, event_id: str) -> asyncio.Future[Received]:
        """Return the future of a request's response; the same request may be sent twice at once."""
        response: asyncio.Future[Received] = asyncio.get_running_loop().create_future()
        self._pending.setdefault(event_id, []).append(response)
        return response

    def forget(self, event_id: str, response: asyncio.Future[Received]) -> None:
        """Stop waiting for a response."""
        pending = self._pending.get(event_id, [])
        if response in pending:
            pending.remove(response)
        if not pending:
            self._pending.pop(event_id, None)

    def fail(self, event_id: str, error: BackchatError) -> None:
        """Fail one request."""
        for response in self._pending.pop(event_id, []):
            if not response.done():
                response.set_exception(error)
                response.exception()  # read: the caller may be gone

    async def _receive(self, message: AbstractIncomingMessage) -> None:
        try:
            events = read_body(message.body)
        except MalformedEvent:
            logger.exception("response.malformed")
            return
        for event in events:
            for response in self._pending.pop(event.correlationid or "", []):
                if not response.done():
                    response.set_result(event)

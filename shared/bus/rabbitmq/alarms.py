"""Alarms of the broker (contract P11): while memory or disk runs short, it reads nothing from publishing connections.

The broker reports an alarm (`connection.blocked`) to a connection only when that publishes. A small message that no
queue takes is therefore published every second, so that readiness of an idle service is right as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aio_pika.exceptions import AMQPError

from shared.bus.rabbitmq.calls import CallFailed
from shared.bus.rabbitmq.connection import Connection, ConnectionSupervisor, open_channel
from shared.bus.rabbitmq.frames import is_congested, probe, underlay_of, write
from shared.contracts.topology import DIRECT, Exchange

logger = structlog.get_logger(__name__)

PROBE_INTERVAL = 1.0  # seconds

# aiormq handles both frames in private methods, and reports neither with its reason.
BLOCKED_HANDLER = "_Connection__handle_connection_blocked"
UNBLOCKED_HANDLER = "_Connection__handle_connection_unblocked"


class Alarms:
    """The alarms that block the connection of a supervisor. `ended` is called when the broker takes publications again.

    Connections that never publish, such as the consuming one, are never blocked.
    """

    def __init__(self, ended: Callable[[], None]) -> None:
        self.reason = ""  # in the words of the broker, as in "low on memory & disk"; empty: no alarm
        self._ended = ended
        self._exchange: Exchange | None = None
        self._declared = asyncio.Event()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the active alarms, as in `("memory alarm",)`.

        The broker does not report a further alarm, or the end of one of several, to a connection that it blocks.
        """
        return tuple(f"{part} alarm" for part in sorted(self.reason.removeprefix("low on ").split(" & ")) if part)

    def watch(self, connection: Connection) -> None:
        """Follow the alarms of a new connection. It is not blocked before it publishes."""
        assert connection.transport is not None
        engine = connection.transport.connection
        handle_blocked: Callable[[Any], Awaitable[None]] = getattr(engine, BLOCKED_HANDLER)
        handle_unblocked: Callable[[Any], Awaitable[None]] = getattr(engine, UNBLOCKED_HANDLER)

        async def blocked(frame: Any) -> None:
            self.reason = frame.reason or "alarm"
            logger.warning("broker.blocked", reason=self.reason, collapse=self.reason)
            await handle_blocked(frame)

        async def unblocked(frame: Any) -> None:
            logger.warning("broker.unblocked", reason=self.reason, collapse=self.reason)
            self.reason = ""
            await handle_unblocked(frame)
            self._ended()

        setattr(engine, BLOCKED_HANDLER, blocked)
        setattr(engine, UNBLOCKED_HANDLER, unblocked)
        self.reason = ""

    def probe_through(self, exchange: Exchange) -> None:
        """Publish the probes to an exchange, which is declared; later calls have no effect.

        A topic exchange is replaced by the default one: a queue that is bound with `#` would take the probes.
        """
        if self._exchange is None and exchange.kind != "fanout":
            self._exchange = DIRECT if exchange.kind == "topic" else exchange
            self._declared.set()

    async def run(self, supervisor: ConnectionSupervisor) -> None:
        """Publish probes until cancelled."""
        await self._declared.wait()
        while True:
            connection = await supervisor.current()
            try:
                await self._probe(connection)
            except (CallFailed, AMQPError) as error:
                logger.debug("probe.failed", reason=type(error).__name__)
            while connection.alive:  # noqa: ASYNC110 - a channel that the broker closed would be closed again
                await asyncio.sleep(PROBE_INTERVAL)
            await asyncio.sleep(PROBE_INTERVAL)

    async def _probe(self, connection: Connection) -> None:
        """Publish probes over a separate channel until it closes."""
        assert self._exchange is not None
        channel = await open_channel(connection)
        underlay = await underlay_of(channel)
        while not channel.is_closed and connection.alive:
            if not self.reason and not is_congested(underlay):
                write(underlay, probe(self._exchange.name))
            await asyncio.sleep(PROBE_INTERVAL)

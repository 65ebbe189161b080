"""Composition root of the chat gateway."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry

from chat_gateway.accepted import Accepted
from chat_gateway.authentication import KeyTable
from chat_gateway.bindings import Bindings
from chat_gateway.calls import Calls
from chat_gateway.client_events import ClientEvents
from chat_gateway.deliveries import Deliveries
from chat_gateway.following import Following
from chat_gateway.gateway import Gateway
from chat_gateway.http import PublicApp
from chat_gateway.metrics import Metrics
from chat_gateway.presence import Presence
from chat_gateway.questions import Questions
from chat_gateway.registry import Registry
from chat_gateway.replies import Replies
from chat_gateway.sending import Sending
from chat_gateway.server import SocketServer
from chat_gateway.sessions import Sessions
from chat_gateway.settings import GatewaySettings
from shared.bus.port import Bus
from shared.contracts.topology import DELIVERY, QUERIES, log
from shared.runtime.service import Service, Tasks


def build(
    settings: GatewaySettings,
    *,
    bus: Bus,
    jwks: Callable[[], Awaitable[dict[str, Any]]],
    registry: CollectorRegistry,
) -> Service:
    """Wire the gateway. `jwks` fetches auth's public keys (a JWK set), as often as it is asked."""
    metrics = Metrics(registry)
    keys = KeyTable(jwks)
    bindings = Bindings()
    questions = Questions(bus, settings.partitions)
    replies = Replies(settings.reply_text_bytes)
    served = Registry(bindings, replies, metrics, partitions=settings.partitions, most=settings.sessions_served)
    accepted = Accepted()
    following = Following(questions, served, replies, accepted, metrics)
    sessions = Sessions(questions, bindings, served, following, replies)
    presence = Presence(bindings, settings)
    calls = Calls(metrics, settings)
    sending = Sending(bus, sessions, accepted, settings.partitions)
    events = ClientEvents(calls, sending, questions, sessions, presence, settings)
    deliveries = Deliveries(
        bus, bindings, served, following, replies, accepted, sending, presence, metrics, settings.partitions
    )
    gateway = Gateway(bus, keys, sessions, presence, calls, events, settings)
    server = SocketServer(gateway, settings, metrics)
    app = PublicApp(server)

    async def declare() -> None:
        await bus.declare(exchanges=(log(settings.partitions), QUERIES, DELIVERY))

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[Tasks]:
        async with Tasks() as tasks:
            try:
                tasks.start("gateway keys", keys.run())
                tasks.start("gateway exchanges", declare())
                tasks.start("gateway deliveries", deliveries.run(uuid.uuid4().hex))
                tasks.start("gateway log watch", gateway.watch_log())
                tasks.start("gateway heads", following.watch_heads())
                tasks.start("gateway buffers", server.watch_buffers())
                tasks.start("gateway sweep", sessions.sweep())
                yield tasks
            finally:
                await server.shutdown()
                deliveries.close()
                following.close()
                bindings.close()

    return Service("chat_gateway", lifespan, gateway.missing, app, partial(gateway.drain, server, app))

"""Composition root of the chat gateway."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry

from chat_gateway.deliveries.delivery_consumer import Deliveries
from chat_gateway.deliveries.session_deliveries import SessionEvents
from chat_gateway.deliveries.user_deliveries import UserEvents
from chat_gateway.domain.streamed_replies import Replies
from chat_gateway.events.budgets import Budgets
from chat_gateway.events.calls import Calls
from chat_gateway.events.client_events import ClientEvents, Noun
from chat_gateway.events.logins import Logins
from chat_gateway.events.message_publisher import Sending
from chat_gateway.events.query_events import Reading
from chat_gateway.events.reply_events import Turns
from chat_gateway.events.session_events import Rooms
from chat_gateway.events.typing_events import Showing
from chat_gateway.gateway import Gateway
from chat_gateway.http.public_app import PublicApp
from chat_gateway.identity.authentication import Authenticator, KeyTable
from chat_gateway.identity.revocation import Ask
from chat_gateway.metrics import Metrics
from chat_gateway.sessions.bindings import Bindings
from chat_gateway.sessions.catch_up import Following
from chat_gateway.sessions.connected_users import Presence
from chat_gateway.sessions.joining import Sessions
from chat_gateway.sessions.pending_messages import Accepted
from chat_gateway.sessions.persistence_client import Questions
from chat_gateway.sessions.presence import Attendance
from chat_gateway.sessions.registry import Registry
from chat_gateway.settings import GatewaySettings
from chat_gateway.sockets.server import SocketServer
from shared.bus.port import Bus
from shared.contracts.topology import CONTROL, DELIVERY, QUERIES, log
from shared.runtime.service import Service, Tasks


def build(
    settings: GatewaySettings,
    *,
    bus: Bus,
    jwks: Callable[[], Awaitable[dict[str, Any]]],
    revocations: Ask,
    registry: CollectorRegistry,
) -> Service:
    """Wire the gateway.

    `jwks` fetches auth's public keys (a JWK set), `revocations` the logins revoked since a cursor (`None`: all that
    still matter, as `{"cursor": …, "logins": [{"sid": …, "until": seconds since 1970}]}`), both as often as asked.
    """
    metrics = Metrics(registry)
    keys = KeyTable(jwks)
    bindings = Bindings()
    questions = Questions(bus, settings.partitions)
    replies = Replies(settings.reply_text_bytes)
    served = Registry(bindings, replies, metrics, partitions=settings.partitions, most=settings.sessions_served)
    accepted = Accepted()
    following = Following(questions, served, replies, accepted, metrics)
    attendance = Attendance(bus, served)
    sessions = Sessions(questions, bindings, served, following, replies, attendance, settings.sessions_per_socket)
    budgets = Budgets(bus, settings)
    presence = Presence(bindings, settings)
    logins = Logins(Authenticator(keys, issuer=settings.issuer), revocations, presence, metrics)
    calls = Calls(metrics, settings)
    sending = Sending(bus, sessions, accepted, settings.partitions)
    nouns: list[Noun] = [
        Rooms(questions, sessions, settings),
        Turns(bus, questions, sessions),
        Reading(questions, sessions),
        Showing(bus, questions, sessions, settings.partitions),
        logins,
    ]
    events = ClientEvents(calls, sending, sessions, budgets, nouns)
    of_sessions = SessionEvents(served, following, replies, attendance)
    of_users = UserEvents(served, accepted, presence, budgets, settings.partitions)
    deliveries = Deliveries(bus, bindings, served, following, sending, of_sessions, of_users, metrics)
    gateway = Gateway(bus, keys, logins, sessions, presence, calls, events, settings)
    server = SocketServer(gateway, settings, metrics)
    app = PublicApp(server, settings)

    async def declare() -> None:
        await bus.declare(exchanges=(log(settings.partitions), QUERIES, DELIVERY, CONTROL))

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[Tasks]:
        async with Tasks() as tasks:
            try:
                tasks.start("gateway keys", keys.run())
                tasks.start("gateway revocations", logins.revocation.run())
                tasks.start("gateway exchanges", declare())
                tasks.start("gateway deliveries", deliveries.run(uuid.uuid4().hex))
                tasks.start("gateway log watch", gateway.watch_log())
                tasks.start("gateway heads", following.watch_heads())
                tasks.start("gateway budgets", budgets.tell())
                tasks.start("gateway buffers", server.watch_buffers())
                tasks.start("gateway sweep", sessions.sweep())
                tasks.start("gateway attendance", attendance.say_again())
                yield tasks
            finally:
                await server.shutdown()
                deliveries.close()
                attendance.close()
                following.close()
                bindings.close()

    return Service("chat_gateway", lifespan, gateway.missing, app, partial(gateway.drain, server, app))

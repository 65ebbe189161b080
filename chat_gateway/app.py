"""Composition root of the chat gateway."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry

from chat_gateway.deliveries.delivery_consumer import DeliveryConsumer
from chat_gateway.deliveries.session_deliveries import SessionDeliveries
from chat_gateway.deliveries.user_deliveries import UserDeliveries
from chat_gateway.domain.streamed_replies import StreamedReplies
from chat_gateway.events.budgets import Budgets
from chat_gateway.events.calls import Calls
from chat_gateway.events.client_events import ClientEvents, EventHandlers
from chat_gateway.events.logins import Logins
from chat_gateway.events.message_publisher import MessagePublisher
from chat_gateway.events.query_events import QueryEvents
from chat_gateway.events.reply_events import ReplyEvents
from chat_gateway.events.session_events import SessionEvents
from chat_gateway.events.typing_events import TypingEvents
from chat_gateway.gateway import Gateway
from chat_gateway.http import stream_endpoints
from chat_gateway.http.api.app import Api
from chat_gateway.http.api.waiting import Waits
from chat_gateway.http.public_app import PublicApp
from chat_gateway.identity.auth_client import FetchAccounts
from chat_gateway.identity.authentication import Authenticator, KeyTable
from chat_gateway.identity.revocation import FetchRevocations
from chat_gateway.metrics import Metrics
from chat_gateway.sessions.bindings import Bindings
from chat_gateway.sessions.catch_up import CatchUp
from chat_gateway.sessions.connected_users import ConnectedUsers
from chat_gateway.sessions.joining import Sessions
from chat_gateway.sessions.pending_messages import PendingMessages
from chat_gateway.sessions.persistence_client import PersistenceClient
from chat_gateway.sessions.presence import PresenceTracker
from chat_gateway.sessions.registry import SessionRegistry
from chat_gateway.settings import GatewaySettings
from chat_gateway.sockets.server import SocketServer
from chat_gateway.streams.event_streams import EventStreams
from shared.bus.port import Bus
from shared.contracts.topology import CONTROL, DELIVERY, QUERIES, log
from shared.runtime.service import Service, Tasks


def event_handlers(
    bus: Bus, persistence: PersistenceClient, sessions: Sessions, settings: GatewaySettings, accounts: FetchAccounts
) -> list[EventHandlers]:
    """Return the handlers of all client events but `send_message` and `refresh_token`."""
    return [
        SessionEvents(persistence, sessions, settings, accounts),
        ReplyEvents(bus, persistence, sessions),
        QueryEvents(persistence, sessions),
        TypingEvents(bus, persistence, sessions, settings.partitions),
    ]


def build(
    settings: GatewaySettings,
    *,
    bus: Bus,
    jwks: Callable[[], Awaitable[dict[str, Any]]],
    revocations: FetchRevocations,
    accounts: FetchAccounts,
    registry: CollectorRegistry,
) -> Service:
    """Wire the gateway.

    `jwks` fetches the public keys of auth (a JWK set). `revocations` fetches the logins revoked since a cursor (`None`:
    all whose tokens may be unexpired) as `{"cursor": …, "logins": [{"sid": …, "until": seconds since 1970}]}`.
    `accounts` returns which of some user ids belong to accounts.
    """
    metrics = Metrics(registry)
    keys = KeyTable(jwks)
    bindings = Bindings()
    persistence = PersistenceClient(bus, settings.partitions)
    replies = StreamedReplies(settings.reply_text_bytes)
    served = SessionRegistry(
        bindings, replies, metrics, partitions=settings.partitions, max_sessions=settings.sessions_served
    )
    pending_messages = PendingMessages()
    catch_up = CatchUp(persistence, served, replies, pending_messages, metrics)
    presence = PresenceTracker(bus, served)
    sessions = Sessions(persistence, bindings, served, catch_up, replies, presence, settings.sessions_per_socket)
    budgets = Budgets(bus, settings)
    connected_users = ConnectedUsers(bindings, settings)
    logins = Logins(Authenticator(keys, issuer=settings.issuer), revocations, connected_users, metrics)
    calls = Calls(metrics, settings)
    publisher = MessagePublisher(bus, sessions, pending_messages, settings.partitions)
    groups = [*event_handlers(bus, persistence, sessions, settings, accounts), logins]
    events = ClientEvents(calls, publisher, sessions, budgets, groups)
    session_deliveries = SessionDeliveries(served, catch_up, replies, presence)
    user_deliveries = UserDeliveries(served, pending_messages, connected_users, budgets, settings.partitions)
    deliveries = DeliveryConsumer(
        bus, bindings, served, catch_up, publisher, session_deliveries, user_deliveries, metrics
    )
    gateway = Gateway(bus, keys, logins, sessions, connected_users, calls, events, settings)
    server = SocketServer(gateway, settings, metrics)
    streams = EventStreams(sessions, connected_users, logins, settings, metrics)
    app = PublicApp(
        server,
        Api(
            events,
            logins,
            Waits(sessions, connected_users, persistence, logins),
            settings,
            stream_endpoints.endpoints(streams),
        ),
        settings,
    )

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
                tasks.start("gateway heads", catch_up.watch_heads())
                tasks.start("gateway budgets", budgets.announce_spending())
                tasks.start("gateway buffers", server.watch_buffers())
                tasks.start("gateway sweep", sessions.sweep())
                tasks.start("gateway streams", streams.watch())
                tasks.start("gateway presence", presence.announce_periodically())
                yield tasks
            finally:
                await server.shutdown()
                deliveries.close()
                presence.close()
                catch_up.close()
                bindings.close()

    return Service("chat_gateway", lifespan, gateway.missing, app, partial(gateway.drain, server, app))

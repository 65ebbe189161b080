"""Composition root of the embedded system: databases, bus and services, with one app on one port."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Receive, Scope, Send

import auth_service.app
import auth_service.settings
import chat_gateway.app
import chat_gateway.settings
import chatbot_worker.app
import chatbot_worker.settings
import persistence_worker.app
import persistence_worker.settings
from embedded.data import DataDirectory
from embedded.settings import EmbeddedSettings
from shared.bus.in_process import InProcessBus
from shared.bus.port import Bus
from shared.database.engine import open_engine, sqlite_url
from shared.http import health
from shared.http.health import WithHealth
from shared.runtime.process import Assembly
from shared.runtime.service import Service
from shared.runtime.settings import load

CommandError = auth_service.app.CommandError


class OneOrigin:
    """Routes the paths of auth to auth and all others to the gateway, as an edge does in the distributed stack."""

    def __init__(self, auth: ASGIApp, gateway: ASGIApp) -> None:
        self._auth = auth
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route by the raw path."""
        to_auth = scope["type"] == "http" and auth_service.app.serves(scope["path"])
        await (self._auth if to_auth else self._gateway)(scope, receive, send)


def add_service_arguments(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `service` with its sub-commands."""
    auth_service.app.add_service_arguments(commands.add_parser("service", help="manage services"))


async def run_service_command(chosen: argparse.Namespace, data: DataDirectory) -> str:
    """Run a command on services and return its message; the process may be running.

    Raises:
        CommandError: the command failed, or the directory has no database yet.
        Unavailable: the database is locked for too long.
    """
    if not data.auth_database.exists():
        raise CommandError(f"there is no database in {data.path}: start Backchat once, or set BACKCHAT_DATA_DIR")
    engine = open_engine(sqlite_url(data.auth_database), schema="auth")
    try:
        return await auth_service.app.run_service_command(chosen, engine)
    finally:
        await engine.dispose()


async def assemble(settings: EmbeddedSettings, data: DataDirectory, stack: AsyncExitStack) -> Assembly:
    """Migrate the databases, open them and the bus on `stack`, and build the four services."""
    registry = CollectorRegistry()
    auth_engine = open_engine(sqlite_url(data.auth_database), schema="auth")
    stack.push_async_callback(auth_engine.dispose)
    chat_engine = open_engine(sqlite_url(data.chat_database), schema="chat")
    stack.push_async_callback(chat_engine.dispose)
    await auth_service.app.migrate(auth_engine)
    await persistence_worker.app.migrate(chat_engine)
    persistence_settings = load(persistence_worker.settings.PersistenceSettings)
    await persistence_worker.app.check_partitions(persistence_settings, engine=chat_engine)
    bus: Bus = await stack.enter_async_context(InProcessBus(data.journal))
    auth_settings = load(auth_service.settings.AuthSettings)
    keys = auth_service.app.load_keys(auth_settings, settings.signing_keys or data.keys)

    async def jwks() -> dict[str, Any]:
        return keys.jwks()

    revocations = auth_service.app.open_revocations(auth_settings, engine=auth_engine)
    auth = auth_service.app.build(
        auth_settings, engine=auth_engine, keys=keys, registry=registry, bus=bus, revocations=revocations
    )
    persistence = persistence_worker.app.build(persistence_settings, bus=bus, engine=chat_engine, registry=registry)
    chatbots = chatbot_worker.app.build(load(chatbot_worker.settings.ChatbotSettings), bus=bus, registry=registry)
    gateway = chat_gateway.app.build(
        load(chat_gateway.settings.GatewaySettings),
        bus=bus,
        jwks=jwks,
        revocations=revocations.since,
        accounts=auth_service.app.open_accounts(auth_engine),
        registry=registry,
    )
    services = [auth, persistence, chatbots, gateway]
    return Assembly(services, _app(settings, services, auth, gateway, registry))


def _app(
    settings: EmbeddedSettings,
    services: Sequence[Service],
    auth: Service,
    gateway: Service,
    registry: CollectorRegistry,
) -> ASGIApp:
    def missing() -> list[str]:
        return [dependency for service in services for dependency in service.missing()]

    assert auth.app is not None
    assert gateway.app is not None
    checks = health.routes("embedded", missing, registry if settings.metrics == "on" else None)
    return WithHealth(checks, OneOrigin(auth.app, gateway.app))

"""A real listener with a gateway on a scripted bus, and clients for it."""

from __future__ import annotations

import asyncio
import socket as sockets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any
from uuid import uuid4

import jwt
import pytest
import socketio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry

from chat_gateway.app import build
from chat_gateway.events.client_events import ClientEvents
from chat_gateway.settings import GatewaySettings
from chat_gateway.sockets.server import SocketServer
from shared.runtime.process import _config, _Server
from shared.runtime.service import Service
from tests.integration.chat_gateway.scripted import ScriptedBus
from tests.support.waiting import until


class Issuer:
    """Auth, as far as a gateway sees it."""

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.kid = "first"
        self.fetches = 0
        self.down = False
        self.revoked: list[dict[str, Any]] = []  # in the order in which it happened
        self.revocations_asked = 0
        self.revocations_down = False
        self.revocations_answering = asyncio.Event()
        self.revocations_answering.set()
        self._published = {self.kid: self.key}

    def rotate(self) -> None:
        self.key, self.kid = Ed25519PrivateKey.generate(), uuid4().hex
        self._published[self.kid] = self.key

    async def jwks(self) -> dict[str, Any]:
        self.fetches += 1
        if self.down:
            raise OSError("auth is away")
        algorithm = jwt.get_algorithm_by_name("EdDSA")
        return {
            "keys": [
                {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}
                for kid, key in self._published.items()
            ]
        }

    def revoke(self, login_id: str, until: int | None = None) -> None:
        self.revoked.append({"sid": login_id, "until": until or int(time.time()) + 900})

    async def existing_accounts(self, user_ids: Sequence[str]) -> list[str]:
        """Every id belongs to an account."""
        return list(user_ids)

    async def revocations(self, cursor: str | None) -> dict[str, Any]:
        self.revocations_asked += 1
        if self.revocations_down:
            raise OSError("auth is away")
        answer = {"cursor": str(len(self.revoked)), "logins": self.revoked[int(cursor or 0) :]}
        await self.revocations_answering.wait()
        return answer

    def token(self, user: str, *, drop: str | None = None, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        now = int(time.time())
        whole = {
            "iss": "backchat",
            "aud": "backchat",
            "sub": user,
            "sid": f"login of {user}",
            "jti": uuid4().hex,
            "iat": now,
            "nbf": now,
            "exp": now + 900,
            "roles": [],
            **claims,
        }
        if drop:
            del whole[drop]
        return jwt.encode(
            whole, self.key, algorithm="EdDSA", headers={"kid": self.kid, "typ": "at+jwt", **(headers or {})}
        )


class Client(socketio.AsyncClient):
    """A stock client that records the events it receives."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"reconnection": False, **options})
        self.heard: list[tuple[str, Any]] = []
        self.on("*", self._hear)
        self.refusal: Any = None
        self.on("connect_error", self._refused)

    async def _hear(self, event: str, data: Any = None) -> None:
        self.heard.append((event, data))

    async def _refused(self, data: Any) -> None:
        self.refusal = data

    async def leave(self) -> None:
        """Disconnect; the library itself waits for its tasks without end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(20):
                await self.disconnect()

    def told(self, event: str) -> list[Any]:
        return [data for name, data in self.heard if name == event]

    async def hears(self, event: str, count: int = 1) -> list[Any]:
        await until(lambda: len(self.told(event)) >= count)
        return self.told(event)


class Running:
    """A gateway that listens."""

    def __init__(self, bus: ScriptedBus, issuer: Issuer, stack: AsyncExitStack) -> None:
        self.bus = bus
        self.issuer = issuer
        self.port = 0
        self.service: Service
        self.registry = CollectorRegistry()
        self._stack = stack

    @property
    def server(self) -> SocketServer:
        """The Socket.IO server inside, to look for what was left behind."""
        return self.service.app._sockets._app._server

    @property
    def events(self) -> ClientEvents:
        return self.server._callbacks._events

    def keys_asked_long_ago(self) -> None:
        """The cooldown for unknown keys is over."""
        self.server._callbacks._keys._asked_at = float("-inf")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self, *, ready: bool = True, **settings: Any) -> None:
        self.service = build(
            GatewaySettings(**settings),
            bus=self.bus,
            jwks=self.issuer.jwks,
            revocations=self.issuer.revocations,
            accounts=self.issuer.existing_accounts,
            registry=self.registry,
        )
        await self._stack.enter_async_context(self.service.lifespan())
        listener = sockets.socket()
        listener.bind(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        server = _Server(_config(self.service.app))
        serving = asyncio.create_task(server.serve(sockets=[listener]))

        async def stop() -> None:
            server.should_exit = True
            await serving
            listener.close()

        self._stack.push_async_callback(stop)
        await until(lambda: server.started)
        if ready:
            await until(lambda: not self.service.missing())

    async def client(self, user: str, *, token: str | None = None, **options: Any) -> Client:
        client = Client(**options.pop("client", {}))
        self._stack.push_async_callback(client.leave)
        auth = {"token": token or self.issuer.token(user)}
        await client.connect(self.url, **{"auth": auth, "transports": ["websocket"], **options})
        await client.hears("ready")
        return client

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"backchat_gateway_{name}", labels) or 0.0


@pytest.fixture
async def gateway() -> AsyncIterator[Running]:
    """Not started: call `await gateway.start()`."""
    async with AsyncExitStack() as stack:
        yield Running(ScriptedBus(), Issuer(), stack)


@pytest.fixture
async def running(gateway: Running) -> Running:
    """Started, with the default settings."""
    await gateway.start()
    return gateway


async def start_chat(client: Client, **payload: Any) -> dict[str, Any]:
    ack = await client.call("start_chat", payload, timeout=20)
    assert ack["ok"], ack
    return ack["session"]

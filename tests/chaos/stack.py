"""The system under test: two of each worker and gateway behind proxies, and a supervisor that restarts what ends."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import psycopg

from tests.chaos.proxy import Proxy
from tests.support.cluster import RabbitMQCluster
from tests.support.ports import free_port
from tests.support.postgresql import PostgreSQL
from tests.support.rabbitmq import RabbitMQ
from tests.support.stack import DistributedStack, Part, status

CHATBOTS = """
[[chatbots]]
id = "echo"
name = "Echo"
kind = "echo"
default = true
delta_interval = 0
options = { delay = 0.06 }
"""
GATEWAYS = ("chat_gateway-1", "chat_gateway-2")
KINDS = {
    "gateway": GATEWAYS,
    "persistence": ("persistence_worker-1", "persistence_worker-2"),
    "chatbot": ("chatbot_worker-1", "chatbot_worker-2"),
    "auth": ("auth_service",),
}
DATABASE = "backchat"
TOKEN_TTL = "86400"  # seconds: the stock clients never renew theirs
POLL = 0.1  # seconds between two looks of the supervisor
STOP_PATIENCE = 10.0  # seconds (contract P8)


class DurablePostgreSQL(PostgreSQL):
    """As in production: every commit is on the disk."""

    SETTINGS: tuple[str, ...] = ("fsync=on", "synchronous_commit=on", "full_page_writes=on", "shared_buffers=128MB")
    SETTINGS += ("max_connections=200", "listen_addresses=127.0.0.1", "timezone=UTC")


class Stores:
    """The private database and broker, one node or a cluster of three."""

    def __init__(self, nodes: int) -> None:
        self.postgresql = DurablePostgreSQL()
        self.cluster = RabbitMQCluster(nodes) if nodes > 1 else None
        self.nodes: list[RabbitMQ] = self.cluster.nodes if self.cluster else [RabbitMQ()]

    def start(self) -> None:
        """Start both, and make the database."""
        self.postgresql.start()
        with psycopg.connect(self.postgresql.url().replace("+asyncpg", ""), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        if self.cluster:
            self.cluster.start()
        else:
            self.nodes[0].start()

    def versions(self) -> dict[str, str]:
        """What runs."""
        with psycopg.connect(self.postgresql.url().replace("+asyncpg", "")) as connection:
            found = {"postgresql": str(connection.info.parameter_status("server_version"))}
        return found | {"rabbitmq": self.nodes[0].ctl("version").strip(), "rabbitmq_nodes": str(len(self.nodes))}

    def stop(self) -> None:
        """End both and remove their data."""
        if self.cluster:
            self.cluster.stop()
        else:
            self.nodes[0].stop()
        self.postgresql.stop()


class ChaosStack(DistributedStack):
    """The services, each reaching broker and database through proxies of its own."""

    def __init__(self, directory: Path, stores: Stores) -> None:
        (directory / "chatbots.toml").write_text(CHATBOTS)
        self._stores = stores
        self.broker_links: dict[str, list[Proxy]] = {}  # by process
        self.database_links: dict[str, list[Proxy]] = {}
        self.client_links: dict[str, list[Proxy]] = {}  # in front of the gateways
        settings = {
            "LOG_LEVEL": "info",
            "LIMITS": "off",
            "ACCESS_TOKEN_TTL": TOKEN_TTL,
            "CHATBOTS": str(directory / "chatbots.toml"),
        }
        urls = {"postgresql_url": stores.postgresql.url(DATABASE), "amqp_url": stores.nodes[0].url}
        super().__init__(directory, **urls, settings=settings)

    def _parts(self) -> dict[str, Part]:
        self.keys.mkdir(exist_ok=True)
        auth = Part("auth_service", {"SIGNING_KEYS": str(self.keys), **self._database_through("auth_service")})
        parts = {"auth_service": auth}
        for name in KINDS["persistence"]:
            parts[name] = Part("persistence_worker", self._database_through(name) | self._broker_through(name))
        for name in KINDS["chatbot"]:
            parts[name] = Part("chatbot_worker", self._broker_through(name))
        for name in GATEWAYS:
            parts[name] = Part("chat_gateway", {"AUTH_URL": auth.url, **self._broker_through(name)})
            self.client_links[name] = [Proxy(("127.0.0.1", parts[name].port), free_port())]
        return parts

    def _broker_through(self, name: str) -> dict[str, str]:
        links = [Proxy(("127.0.0.1", node.port), free_port()) for node in self._stores.nodes]
        self.broker_links[name] = links
        return {"AMQP_URL": ",".join(f"amqp://{RabbitMQ.CREDENTIALS}@127.0.0.1:{link.port}/" for link in links)}

    def _database_through(self, name: str) -> dict[str, str]:
        link = Proxy(("127.0.0.1", self._stores.postgresql.port), free_port())
        self.database_links[name] = [link]
        return {"DATABASE_URL": f"postgresql+asyncpg://app@127.0.0.1:{link.port}/{DATABASE}"}

    @property
    def gateways(self) -> list[tuple[str, str]]:
        """Name and address of each, as clients reach them."""
        return [(name, f"http://127.0.0.1:{self.client_links[name][0].port}") for name in GATEWAYS]

    def links(self) -> Iterator[Proxy]:
        """All proxies."""
        for group in (self.broker_links, self.database_links, self.client_links):
            for links in group.values():
                yield from links

    async def open(self) -> None:
        """Start the proxies, then every process; returns when all are ready."""
        for link in self.links():
            await link.start()
        await self.start()


class Supervisor:
    """Starts every process again as soon as it has ended, as systemd or an orchestrator would."""

    def __init__(self, stack: ChaosStack) -> None:
        self._stack = stack
        self._expected: set[int] = set()  # pids of processes that a fault ends
        self.restarts = 0
        self.crashes: list[str] = []  # processes that ended by themselves
        self.slow_stops: list[str] = []  # SIGTERM that did not end with exit code 0 in time

    def kill(self, name: str) -> None:
        """Crash one."""
        child = self._stack.parts[name].child
        assert child
        self._expected.add(child.pid)
        child.kill()

    def terminate(self, name: str) -> None:
        """Ask one to stop, and see that it does (contract P8); one that is just starting may finish that first."""
        part = self._stack.parts[name]
        deadline = time.monotonic() + STOP_PATIENCE
        while status(f"{part.url}/healthz") != HTTPStatus.OK and time.monotonic() < deadline:
            time.sleep(POLL)
        child = part.child
        assert child
        self._expected.add(child.pid)
        began = time.monotonic()
        code = child.stop(signal.SIGTERM, timeout=STOP_PATIENCE)
        if code:
            self.slow_stops.append(f"{name}: exit code {code} {time.monotonic() - began:.1f} s after SIGTERM")

    async def watch(self) -> None:
        """Restart, until cancelled."""
        while True:
            for name, part in self._stack.parts.items():
                if part.child is None or part.child.running:
                    continue
                if part.child.pid not in self._expected:
                    self.crashes.append(f"{name}: exit code {part.child.ended(timeout=1)}\n{part.child.tail(15)}")
                self.restarts += 1
                settings, module, port = part.settings, part.module, part.port
                part.child = self._stack.spawn(name, module, "serve", settings=settings, port=port)
            await asyncio.sleep(POLL)

    async def all_ready(self, patience: float) -> bool:
        """Whether every process gets ready within `patience` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                for part in self._stack.parts.values():
                    while not await asyncio.to_thread(part.ready):  # noqa: ASYNC110 - other processes
                        await asyncio.sleep(POLL)
                return True
        return False

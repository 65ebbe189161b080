"""System under test: real processes, with a TCP proxy on each of their connections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from tests.chaos.stores import DATABASE, Stores
from tests.support.ports import free_port
from tests.support.proxy import Proxy
from tests.support.rabbitmq import RabbitMQ
from tests.support.stack import DistributedStack, EmbeddedStack, Part, Stack

CHATBOTS = """
[[chatbots]]
id = "echo"
name = "Echo"
kind = "echo"
default = true
delta_interval = 0
options = { delay = 0.06 }
"""
TOKEN_TTL = "86400"  # seconds; the stock clients do not renew tokens


class BreakableStack(Stack):
    """Common parts of both stacks. Proxies are listed by process name."""

    processes: ClassVar[Mapping[str, tuple[str, ...]]]  # part of a fault: names of its processes
    broker_links: dict[str, list[Proxy]]
    database_links: dict[str, list[Proxy]]
    client_links: dict[str, list[Proxy]]  # in front of the gateways

    @property
    def gateways(self) -> list[tuple[str, str]]:
        """Name and proxied address of each gateway."""
        return [(name, f"http://127.0.0.1:{links[0].port}") for name, links in self.client_links.items()]

    def links(self) -> Iterator[Proxy]:
        """Yield all proxies."""
        for group in (self.broker_links, self.database_links, self.client_links):
            for links in group.values():
                yield from links

    async def open(self) -> None:
        """Start the proxies, then all processes; returns when all are ready."""
        for link in self.links():
            await link.start()
        await self.start()

    async def shut(self) -> None:
        """Kill all processes, then stop the proxies."""
        self.close()
        for link in self.links():
            await link.stop()

    def _prepare_links(self, directory: Path) -> dict[str, str]:
        """Reset the proxies; returns the settings of all processes."""
        self.broker_links, self.database_links, self.client_links = {}, {}, {}
        (directory / "chatbots.toml").write_text(CHATBOTS)
        return {
            "LOG_LEVEL": "info",
            "LIMITS": "off",
            "ACCESS_TOKEN_TTL": TOKEN_TTL,
            "CHATBOTS": str(directory / "chatbots.toml"),
        }

    def _client_link(self, name: str, port: int) -> None:
        self.client_links[name] = [Proxy(("127.0.0.1", port), free_port())]


class DistributedChaosStack(BreakableStack, DistributedStack):
    """Two gateways, two workers of each kind, one auth service."""

    processes: ClassVar = {
        "gateway": ("chat_gateway-1", "chat_gateway-2"),
        "persistence": ("persistence_worker-1", "persistence_worker-2"),
        "chatbot": ("chatbot_worker-1", "chatbot_worker-2"),
        "auth": ("auth_service",),
    }

    def __init__(self, directory: Path, stores: Stores) -> None:
        self._stores = stores
        settings = self._prepare_links(directory)
        urls = {"postgresql_url": stores.postgresql.url(DATABASE), "amqp_url": stores.nodes[0].url}
        super().__init__(directory, **urls, settings=settings)

    def _parts(self) -> dict[str, Part]:
        self.keys.mkdir(exist_ok=True)
        stores = self._database_through("auth_service") | self._broker_through("auth_service")
        auth = Part("auth_service", {"SIGNING_KEYS": str(self.keys), **stores})
        parts = {"auth_service": auth}
        for name in self.processes["persistence"]:
            parts[name] = Part("persistence_worker", self._database_through(name) | self._broker_through(name))
        for name in self.processes["chatbot"]:
            parts[name] = Part("chatbot_worker", self._broker_through(name))
        for name in self.processes["gateway"]:
            parts[name] = Part("chat_gateway", {"AUTH_URL": auth.url, **self._broker_through(name)})
            self._client_link(name, parts[name].port)
        return parts

    def _broker_through(self, name: str) -> dict[str, str]:
        links = [Proxy(("127.0.0.1", node.port), free_port()) for node in self._stores.nodes]
        self.broker_links[name] = links
        return {"AMQP_URL": ",".join(f"amqp://{RabbitMQ.CREDENTIALS}@127.0.0.1:{link.port}/" for link in links)}

    def _database_through(self, name: str) -> dict[str, str]:
        link = Proxy(("127.0.0.1", self._stores.postgresql.port), free_port())
        self.database_links[name] = [link]
        return {"DATABASE_URL": f"postgresql+asyncpg://app@127.0.0.1:{link.port}/{DATABASE}"}


class EmbeddedChaosStack(BreakableStack, EmbeddedStack):
    """All services in one process, on SQLite and the in-process bus with a journal."""

    processes: ClassVar = {"embedded": ("embedded",), "gateway": ("embedded",)}

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, self._prepare_links(directory))

    def _parts(self) -> dict[str, Part]:
        parts = super()._parts()
        self._client_link("embedded", parts["embedded"].port)
        return parts

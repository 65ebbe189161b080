"""Backchat as a system under test: embedded in one process, and as the distributed stack."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from benchmarks.processes import Parts
from benchmarks.systems import accounts
from benchmarks.systems.stores import POSTGRESQL, RABBITMQ, Stores
from benchmarks.systems.system import System, is_ready
from tests.support.children import START_TIMEOUT
from tests.support.ports import free_port

CHATBOTS = """
[[chatbots]]
id = "echo"
name = "Echo"
kind = "echo"
default = true
options = { delay = 0 }

[[chatbots]]
id = "stream"
name = "Stream"
kind = "echo"
options = { delay = 0.02 }
delta_interval = 0.01
"""
TOKEN_TTL = "86400"  # seconds: no benchmark measures the renewal of tokens


class Backchat(System):
    """The common part of both forms. `environment` overrides the default settings."""

    tells_stored = True
    streams = True
    chatbots = CHATBOTS

    def __init__(self, processes: Parts, environment: Mapping[str, str]) -> None:
        super().__init__(processes)
        self._auth_url = ""
        self._tokens: tuple[str, ...] = ()
        self._extra = environment

    def tokens(self, count: int) -> tuple[str, ...]:
        """Return a token for each connection, each of a different user."""
        if len(self._tokens) < count:
            self._tokens = accounts.tokens(self._auth_url, count)
        return self._tokens[:count]

    def _environment(self, port: int) -> dict[str, str]:
        chatbots = self._home.path / "chatbots.toml"
        chatbots.write_text(self.chatbots)
        return {
            "BACKCHAT_PORT": str(port),
            "BACKCHAT_CHATBOTS": str(chatbots),
            "BACKCHAT_LIMITS": "off",
            "BACKCHAT_ACCESS_TOKEN_TTL": TOKEN_TTL,
        } | dict(self._extra)

    def _directory(self, name: str) -> Path:
        path = self._home.path / name
        path.mkdir(mode=0o700)
        return path


class Embedded(Backchat):
    """`python -m embedded` on an empty data directory."""

    name = "embedded"
    parts = frozenset({"embedded"})

    def start(self) -> None:
        """Start the embedded system."""
        port = free_port()
        self._auth_url = f"http://127.0.0.1:{port}"
        self.urls = (self._auth_url,)
        environment = self._environment(port) | {"BACKCHAT_DATA_DIR": str(self._directory("data"))}
        self._serve(self.name, "embedded", ready=partial(is_ready, self._auth_url), environment=environment)


class Distributed(Backchat):
    """The four services as processes on the shared PostgreSQL and RabbitMQ."""

    name = "distributed"
    parts = frozenset({"auth", "gateway", "persistence", "chatbot", POSTGRESQL, RABBITMQ})

    def __init__(self, processes: Parts, environment: Mapping[str, str], stores: Stores, *, gateways: int) -> None:
        super().__init__(processes, environment)
        self._stores = stores
        self._gateways = gateways

    def start(self) -> None:
        """Migrate an empty database, then start everything and wait until all of it is ready."""
        database = {"BACKCHAT_DATABASE_URL": self._stores.database("backchat")}
        broker = {"BACKCHAT_AMQP_URL": self._stores.broker()}
        keys = {"BACKCHAT_SIGNING_KEYS": str(self._directory("keys"))}
        ports = iter([free_port() for _ in range(3 + self._gateways)])
        self._auth_url = f"http://127.0.0.1:{(auth_port := next(ports))}"
        auth = self._environment(auth_port) | database | broker | keys
        self._migrate("auth_service", auth)
        self._service("auth", "auth_service", auth)
        persistence = self._environment(next(ports)) | database | broker
        self._migrate("persistence_worker", persistence)
        self._service("persistence", "persistence_worker", persistence)
        self._service("chatbot", "chatbot_worker", self._environment(next(ports)) | broker)
        urls = []
        for number in range(self._gateways):
            gateway = self._environment(next(ports)) | broker | {"BACKCHAT_AUTH_URL": self._auth_url}
            self._service("gateway", "chat_gateway", gateway, name=f"gateway-{number}")
            urls.append(f"http://127.0.0.1:{gateway['BACKCHAT_PORT']}")
        self.urls = tuple(urls)

    def _service(self, part: str, module: str, environment: dict[str, str], name: str = "") -> None:
        url = f"http://127.0.0.1:{environment['BACKCHAT_PORT']}"
        self._serve(part, module, ready=partial(is_ready, url), environment=environment, name=name)

    def _migrate(self, module: str, environment: dict[str, str]) -> None:
        child = self._spawn("migrate", f"{module}-migrate", module, "migrate", environment=environment)
        child.wait_until(lambda: not child.running, timeout=START_TIMEOUT)

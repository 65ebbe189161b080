"""Backchat as real processes: all in one (`EmbeddedStack`) or one per service (`DistributedStack`).

Both have the same interface, so that one test suite runs on both. Logs are files in the given directory.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import sys
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar

from shared.database.engine import sqlite_url
from tests.support.children import PLAIN_ENVIRONMENT, Child, Home
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
START_TIMEOUT = 90.0  # seconds; five processes that start at once take 10 on two busy cores
STOP_DEADLINE = 10.0 + 5.0  # seconds: contract P8, and an allowance for five processes on two busy cores


@dataclass(slots=True)
class Part:
    """One process of a stack."""

    module: str
    settings: dict[str, str]
    port: int = field(default_factory=free_port)
    child: Child | None = None

    @property
    def url(self) -> str:
        """Address that it listens on."""
        return f"http://127.0.0.1:{self.port}"

    def ready(self) -> bool:
        """Whether `/readyz` answers 200."""
        return status(f"{self.url}/readyz") == 200


def status(url: str) -> int:
    """Return the HTTP status of a GET; 0 without an answer."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


class Stack(ABC):
    """Processes of one system. `settings` are environment variables of all processes, without the prefix."""

    def __init__(self, directory: Path, settings: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self.logs = directory / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.settings = {"LOG_LEVEL": "debug", "LOCAL_MODEL": "off", **(settings or {})}
        self._home = Home("stack")
        self.parts: dict[str, Part] = self._parts()

    @abstractmethod
    def _parts(self) -> dict[str, Part]:
        """Return the processes by name, in start order."""

    @abstractmethod
    def _prepare(self) -> None:
        """Prepare the first start, such as migrations."""

    @property
    @abstractmethod
    def auth_url(self) -> str:
        """Address of the auth service."""

    @property
    @abstractmethod
    def gateway_urls(self) -> list[str]:
        """Addresses of the gateways; the first and the last differ if there are several."""

    @property
    @abstractmethod
    def keys(self) -> Path:
        """Directory of the signing keys."""

    @property
    def names(self) -> list[str]:
        """Names of the processes."""
        return list(self.parts)

    async def start(self) -> Self:
        """Start every process that is not running; returns when all are ready."""
        await asyncio.to_thread(self.start_now)
        return self

    async def kill9(self, name: str) -> None:
        """Kill one process with SIGKILL."""
        child = self.parts[name].child
        assert child
        await asyncio.to_thread(child.kill)

    def crash(self, part: str = "") -> None:
        """Kill every process whose name begins with `part`."""
        for name, process in self.parts.items():
            if name.startswith(part) and process.child:
                process.child.kill()

    async def restart(self, name: str) -> None:
        """Stop one process with SIGTERM if it is running, and start it again; returns when it is ready."""
        await asyncio.to_thread(self._stop_parts, [name])
        await self.start()

    async def stop(self) -> None:
        """Send SIGTERM to all processes at once.

        Raises:
            AssertionError: a process did not end with code 0 in time.
        """
        await asyncio.to_thread(self.stop_now)

    def start_now(self) -> None:
        """Do what `start` does, without an event loop."""
        self._prepare()
        for name, part in self.parts.items():
            if part.child is None or not part.child.running:
                part.child = self.spawn(name, part.module, "serve", settings=part.settings, port=part.port)
        for part in self.parts.values():
            assert part.child
            part.child.wait_until(part.ready, timeout=START_TIMEOUT)

    def stop_now(self) -> None:
        """Do what `stop` does, without an event loop."""
        self._stop_parts(self.names)

    def close(self) -> None:
        """Kill all processes and remove the temporary directory."""
        for part in self.parts.values():
            if part.child:
                part.child.kill()
        self._home.close()

    def log(self, name: str = "*") -> str:
        """Return the output of one process, or of all."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.logs.glob(f"{name}.log")))

    def spawn(
        self, name: str, module: str, *arguments: str, settings: Mapping[str, str] | None = None, port: int = 0
    ) -> Child:
        """Run a module with the settings of the stack, overridden by `settings`."""
        variables = {"HOST": "127.0.0.1", "PORT": str(port), **self.settings, **(settings or {})}
        environment = PLAIN_ENVIRONMENT | {f"BACKCHAT_{variable}": value for variable, value in variables.items()}
        command = [sys.executable, "-m", module, *arguments]
        log = self.logs / f"{name}.log"
        return Child(self._home, name, command, environment=environment, directory=ROOT, log=log)

    def service(self, *arguments: str) -> tuple[int, str]:
        """Run a command on services while the processes run; return its exit code and its output."""
        first = next(iter(self.parts.values()))
        return self._command(first.module, "service", *arguments, settings=first.settings)

    def accesses(self, *arguments: str) -> tuple[int, str]:
        """List accesses of services; return the exit code and the output."""
        return self._command("persistence_worker", "accesses", *arguments, settings=self._chat_database)

    @property
    def _chat_database(self) -> dict[str, str]:
        """The setting of the database of chats, for commands."""
        raise NotImplementedError

    def _command(self, module: str, *arguments: str, settings: Mapping[str, str]) -> tuple[int, str]:
        run = self.spawn(f"command-{secrets.token_hex(4)}", module, *arguments, settings=settings)
        code = run.ended(timeout=START_TIMEOUT)
        output = run.log.read_text()
        run.log.unlink()
        return code, output

    def _stop_parts(self, names: list[str]) -> None:
        children = {name: child for name in names if (child := self.parts[name].child) and child.running}
        deadline = time.monotonic() + STOP_DEADLINE
        for child in children.values():
            child.signal(signal.SIGTERM)
        wrong = {}
        for name, child in children.items():
            code = child.ended(timeout=max(0.0, deadline - time.monotonic()))
            if code != 0:
                wrong[name] = (
                    f"exit code {code} after SIGTERM (-9: it took more than {STOP_DEADLINE:g} s)\n{child.tail()}"
                )
        assert not wrong, wrong


class EmbeddedStack(Stack):
    """`python -m embedded` with its own data directory."""

    def _parts(self) -> dict[str, Part]:
        return {"embedded": Part("embedded", {"DATA_DIR": str(self.data), "METRICS": "on"})}

    def _prepare(self) -> None:
        """Do nothing: the embedded system creates its databases."""

    @property
    def data(self) -> Path:
        """Data directory."""
        return self.directory / "data"

    @property
    def _chat_database(self) -> dict[str, str]:
        return {"DATABASE_URL": sqlite_url(self.data / "chat.db")}

    @property
    def auth_url(self) -> str:
        return self.parts["embedded"].url

    @property
    def gateway_urls(self) -> list[str]:
        return [self.auth_url]

    @property
    def keys(self) -> Path:
        return self.data / "keys"


class DistributedStack(Stack):
    """The four services as processes, with two gateways, on a running database and broker."""

    def __init__(
        self, directory: Path, *, postgresql_url: str, amqp_url: str, settings: Mapping[str, str] | None = None
    ) -> None:
        self._database = {"DATABASE_URL": postgresql_url}
        self._broker = {"AMQP_URL": amqp_url}
        self._migrated = False
        super().__init__(directory, settings)

    def _parts(self) -> dict[str, Part]:
        self.keys.mkdir(exist_ok=True)
        auth = Part("auth_service", {**self._database, **self._broker, "SIGNING_KEYS": str(self.keys)})
        gateway = {**self._broker, "AUTH_URL": auth.url}
        return {
            "auth_service": auth,
            "persistence_worker": Part("persistence_worker", {**self._database, **self._broker}),
            "chatbot_worker": Part("chatbot_worker", self._broker),
            "chat_gateway-1": Part("chat_gateway", gateway),
            "chat_gateway-2": Part("chat_gateway", gateway),
        }

    def _prepare(self) -> None:
        if self._migrated:
            return
        runs = [
            self.spawn(f"migrate-{module}", module, "migrate", settings={**self._database, **self._broker})
            for module in ("auth_service", "persistence_worker")
        ]
        for run in runs:
            code = run.ended(timeout=START_TIMEOUT)
            assert code == 0, f"{run.log.stem}: exit code {code}\n{run.tail()}"
        self._migrated = True

    @property
    def _chat_database(self) -> dict[str, str]:
        return self._database

    @property
    def auth_url(self) -> str:
        return self.parts["auth_service"].url

    @property
    def gateway_urls(self) -> list[str]:
        return [self.parts["chat_gateway-1"].url, self.parts["chat_gateway-2"].url]

    @property
    def keys(self) -> Path:
        return self.directory / "keys"


AnyStack = TypeVar("AnyStack", bound=Stack)


@contextmanager
def running_stack(stack: AnyStack) -> Iterator[AnyStack]:
    """Start a stack for the time of a `with` block; afterwards it must stop cleanly, unless the block has failed."""
    try:
        stack.start_now()
        yield stack
        stack.stop_now()
    finally:
        stack.close()

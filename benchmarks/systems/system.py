"""The base of a system under test, which starts and stops its processes."""

from __future__ import annotations

import signal
import socket
import sys
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.processes import Parts
from tests.support.children import PLAIN_ENVIRONMENT, START_TIMEOUT, Child, Home

ROOT = Path(__file__).resolve().parents[2]
STOP_TIMEOUT = 12.0  # seconds; two more than a service promises


class System(ABC):
    """A system under test. `parts` are the names under which its CPU is counted."""

    name: str
    parts: frozenset[str]
    tells_stored = False  # whether the stored message is sent to its author, numbered, and can be read back
    streams = False  # whether it has a chatbot that streams its replies

    def __init__(self, processes: Parts) -> None:
        self.urls: tuple[str, ...] = ()
        self._processes = processes
        self._home = Home(self.name)
        self._children: list[Child] = []

    @abstractmethod
    def start(self) -> None:
        """Start the system and wait until it is ready."""

    def tokens(self, count: int) -> tuple[str, ...]:
        """Return a token for the Socket.IO handshake of each of `count` users."""
        return tuple(f"user-{number}" for number in range(count))

    def stop(self) -> None:
        """Stop the processes in reverse order of their start, and remove their files."""
        for child in reversed(self._children):
            child.stop(signal.SIGTERM, timeout=STOP_TIMEOUT)
        self._home.close()

    def _spawn(self, part: str, name: str, *command: str, environment: Mapping[str, str]) -> Child:
        """Start `python -m …`; it inherits nothing of this process's environment."""
        with self._processes.start(part):
            child = Child(
                self._home,
                name,
                [sys.executable, "-m", *command],
                environment=PLAIN_ENVIRONMENT | {"PYTHONPATH": str(ROOT)} | dict(environment),
            )
        self._children.append(child)
        return child

    def _serve(
        self,
        part: str,
        *command: str,
        ready: Callable[[], bool],
        environment: Mapping[str, str] | None = None,
        name: str = "",
    ) -> None:
        """Start a process of the system and wait until it is ready."""
        child = self._spawn(part, name or part, *command, environment=environment or {})
        child.wait_until(ready, timeout=START_TIMEOUT)


def is_ready(url: str) -> bool:
    """Return whether `/readyz` answers 200."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.HTTPError, OSError):
        return False


def listens(port: int) -> bool:
    """Return whether a process listens on a port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True

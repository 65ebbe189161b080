"""Child processes that end with the tests in every case: each has a process group and a guard.

The guard is a shell that reads a pipe from the test process. When the test process ends, even by SIGKILL, the pipe
closes; the guard then kills the process groups that are still listed, and removes the directory.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import psutil

from tests.support.waiting import wait_until

GUARD = """
cat >/dev/null
for group in $(cat "$0/groups"); do kill -9 "-$group" 2>/dev/null; done
sleep 1
rm -rf "$0"
"""

# The clock of tests/clock/run is that of all processes.
CLOCK = {name: os.environ[name] for name in ("LD_PRELOAD", "BACKCHAT_TEST_CLOCK_SHIFT") if name in os.environ}  # noqa: TID251
PLAIN_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", **CLOCK}
START_TIMEOUT = 60.0  # seconds; a loaded machine with two cores needs 15
END_TIMEOUT = 30.0  # seconds until a killed process must have ended


class NotInstalled(Exception):
    """A server that the tests need is not installed on this machine."""


class Home:
    """A temporary directory that other system users may enter, and the process groups that use it."""

    def __init__(self, prefix: str) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=f"bc-{prefix}-", dir=_traversable()))
        self.path.chmod(0o755)
        self._groups: set[int] = set()
        self._write()
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, str(self.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def add(self, group: int) -> None:
        self._groups.add(group)
        self._write()

    def discard(self, group: int) -> None:
        self._groups.discard(group)
        self._write()

    def close(self) -> None:
        """Remove the directory and end the guard."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._guard.kill()
        self._guard.communicate(timeout=END_TIMEOUT)

    def _write(self) -> None:
        (self.path / "groups").write_text(" ".join(map(str, self._groups)))


class Child:
    """A child process in a separate process group, with its output in a file."""

    def __init__(
        self,
        home: Home,
        name: str,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str],
        user: int | None = None,
        group: int | None = None,
        directory: Path | None = None,
        log: Path | None = None,
    ) -> None:
        self.log = log or home.path / f"{name}.log"
        self._home = home
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                env=dict(environment),
                cwd=directory or home.path,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user,
                group=group,
                extra_groups=None if user is None else [],
            )
        home.add(self._process.pid)

    @property
    def pid(self) -> int:
        """Process id of the leader."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the leader is running."""
        return self._process.poll() is None

    def tail(self, lines: int = 30) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def wait_until(self, ready: Callable[[], bool], *, timeout: float) -> None:
        """Wait until `ready` holds.

        Raises:
            RuntimeError: the process ended, or `timeout` seconds have passed; with the end of the log.
        """
        held = False

        def ready_or_ended() -> bool:
            nonlocal held
            held = ready()
            return held or not self.running

        with contextlib.suppress(AssertionError):
            wait_until(ready_or_ended, timeout)
        if not (held or ready()):  # it may have become ready by its end
            raise RuntimeError(f"{self.log.stem} was not ready within {timeout:g} s:\n{self.tail()}")

    def stop(self, number: signal.Signals, *, timeout: float) -> int:
        """Send a signal to the leader, and kill the group after `timeout` seconds; returns the exit code."""
        if self.running:
            self.signal(number)
        return self.ended(timeout=timeout)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the leader only."""
        self._process.send_signal(number)

    def ended(self, *, timeout: float) -> int:
        """Wait for the end of the leader; returns its exit code, or -9 if it was killed after `timeout` seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)
        self.kill()
        return self._process.returncode

    def kill(self) -> None:
        """Kill the leader, its group and its descendants at once, as a machine crash would."""
        family = self._family()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for member in family:  # children of PostgreSQL and Erlang have separate groups
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        self._process.wait(END_TIMEOUT)
        self._home.discard(self._process.pid)

    def pause(self) -> None:
        """Suspend the leader and its descendants: connections stay open without an answer."""
        for member in self._family():
            member.suspend()

    def resume(self) -> None:
        """Resume a suspended process."""
        for member in reversed(self._family()):
            member.resume()

    def _family(self) -> list[psutil.Process]:
        try:
            leader = psutil.Process(self._process.pid)
            return [leader, *leader.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


class Server(ABC):
    """A server in a child process, which can be killed, restarted and suspended."""

    STOP_SIGNAL: signal.Signals  # for a stop in order
    STOP_TIMEOUT: float  # seconds until a stop becomes a kill
    _child: Child | None = None

    @abstractmethod
    def start(self) -> Self:
        """Start with the data of the previous start; returns when clients can connect."""

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running

    def kill(self) -> None:
        """Kill with SIGKILL."""
        assert self._child
        self._child.kill()

    def restart(self) -> Self:
        """Stop in order if it is running, and start again."""
        assert self._child
        self._child.stop(self.STOP_SIGNAL, timeout=self.STOP_TIMEOUT)
        return self.start()

    def pause(self) -> None:
        """Suspend all processes; connections stay open."""
        assert self._child
        self._child.pause()

    def resume(self) -> None:
        """Resume after `pause`."""
        assert self._child
        self._child.resume()


def _traversable() -> str:
    """Return the first temporary directory that is short enough for socket paths and open to every user."""
    for candidate in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        path = Path(candidate).resolve()
        if len(str(path)) < 60 and all(part.stat().st_mode & 0o001 for part in (path, *path.parents)):
            return str(path)
    return tempfile.gettempdir()


def answers(port: int, request: bytes, first: bytes) -> bool:
    """Whether the server on the port answers `request` with bytes that begin with `first`."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            if not request:
                return True
            connection.sendall(request)
            return connection.recv(1) == first
    except OSError:
        return False

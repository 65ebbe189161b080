"""Child processes that surely end with the tests: own process group, signals to all of it, and a guard.

The guard is a shell that waits on a pipe from the test process. However the test process ends, `kill -9`
included, the pipe closes and the guard kills the groups that are still listed and removes the directory.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

GUARD = """
cat >/dev/null
for group in $(cat "$0/groups"); do kill -9 "-$group" 2>/dev/null; done
sleep 1
rm -rf "$0"
"""

PLAIN_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
START_TIMEOUT = 60.0  # seconds; a loaded machine with two cores needs 15
END_TIMEOUT = 30.0  # seconds in which what was killed must be gone


class NotInstalled(Exception):
    """A server that the tests need is not on this machine."""


class Home:
    """A temporary directory that other system users may enter, and the process groups that live in it."""

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
        """Remove the directory, then let the guard go, which finds nothing to do."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._guard.kill()
        self._guard.communicate(timeout=END_TIMEOUT)

    def _write(self) -> None:
        (self.path / "groups").write_text(" ".join(map(str, self._groups)))


class Child:
    """One child process in its own process group, its output in a file."""

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
        """The leader's process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the leader has not ended."""
        return self._process.poll() is None

    def tail(self, lines: int = 30) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def wait_until(self, ready: Callable[[], bool], *, timeout: float) -> None:
        """Poll `ready` until it holds; raise with the end of the log if the process ends or time runs out first."""
        deadline = time.monotonic() + timeout
        while not ready():
            if not self.running or time.monotonic() > deadline:
                raise RuntimeError(f"{self.log.stem} did not get ready in {timeout:g} s:\n{self.tail()}")
            time.sleep(0.01)

    def stop(self, number: signal.Signals, *, timeout: float) -> int:
        """Ask the leader to end with the given signal; after `timeout` seconds kill the group. Returns its exit code."""
        if self.running:
            self.signal(number)
        return self.ended(timeout=timeout)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the leader alone."""
        self._process.send_signal(number)

    def ended(self, *, timeout: float) -> int:
        """Wait for the leader's end; its exit code, -9 if it had to be killed after `timeout` seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)
        self.kill()
        return self._process.returncode

    def kill(self) -> None:
        """End the leader, its group and its descendants at once, as a crash of the machine would."""
        family = self._family()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for member in family:  # PostgreSQL's and Erlang's children have groups of their own
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        self._process.wait(END_TIMEOUT)
        self._home.discard(self._process.pid)

    def pause(self) -> None:
        """Freeze the leader and its descendants: connections stay open and nothing answers."""
        for member in self._family():
            member.suspend()

    def resume(self) -> None:
        """Let a frozen process go on."""
        for member in reversed(self._family()):
            member.resume()

    def _family(self) -> list[psutil.Process]:
        try:
            leader = psutil.Process(self._process.pid)
            return [leader, *leader.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def _traversable() -> str:
    """The first temporary directory that is short enough for socket paths and that every user may enter."""
    for candidate in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        path = Path(candidate).resolve()
        if len(str(path)) < 60 and all(part.stat().st_mode & 0o001 for part in (path, *path.parents)):
            return str(path)
    return tempfile.gettempdir()


def answers(port: int, request: bytes, first: bytes) -> bool:
    """Whether what listens on the port answers `request` with bytes that begin with `first`."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            if not request:
                return True
            connection.sendall(request)
            return connection.recv(1) == first
    except OSError:
        return False

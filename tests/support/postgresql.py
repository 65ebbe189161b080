"""A private PostgreSQL server for tests."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.support.children import PLAIN_ENVIRONMENT, START_TIMEOUT, Child, Home, NotInstalled, Server, answers
from tests.support.ports import free_port


class PostgreSQL(Server):
    """A private PostgreSQL server; superuser `app` without a password, TCP on 127.0.0.1 only.

    Commits survive `kill`, but not a machine crash: fsync is off.
    """

    STOP_SIGNAL = signal.SIGINT
    STOP_TIMEOUT = 10
    SETTINGS: tuple[str, ...] = (
        "fsync=off",
        "full_page_writes=off",
        "shared_buffers=64MB",
    )  # synchronous_commit=off would lose commits
    SETTINGS += ("max_connections=200", "listen_addresses=127.0.0.1", "timezone=UTC", "log_statement=none")

    def __init__(self) -> None:
        self._binaries = _postgresql_binaries()
        self._home = Home("pg")
        self.port = free_port()
        self._user = self._group = None
        if os.getuid() == 0:  # it refuses to run as root
            account = unprivileged()
            self._user, self._group = account.pw_uid, account.pw_gid
            os.chown(self._home.path, account.pw_uid, account.pw_gid)

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database for SQLAlchemy with asyncpg."""
        return f"postgresql+asyncpg://app@127.0.0.1:{self.port}/{database}"

    def start(self) -> Self:
        """Start with the data of the previous start; returns when it accepts connections."""
        data = self._home.path / "data"
        if not data.exists():
            self._initialise(data)
        (data / "postmaster.pid").unlink(missing_ok=True)  # no process of a killed server can be running
        settings = [part for setting in self.SETTINGS for part in ("-c", setting)]
        command: list[str | Path] = [
            self._binaries / "postgres",
            "-D",
            data,
            "-p",
            str(self.port),
            "-k",
            self._home.path,
            *settings,
        ]
        self._child = self._run("postgresql", command)
        self._child.wait_until(self._accepts, timeout=START_TIMEOUT)
        return self

    def stop(self) -> None:
        """Stop and remove the data."""
        if self._child:
            self._child.stop(self.STOP_SIGNAL, timeout=self.STOP_TIMEOUT)
        self._home.close()

    def _run(self, name: str, command: Sequence[str | Path]) -> Child:
        return Child(self._home, name, command, environment=PLAIN_ENVIRONMENT, user=self._user, group=self._group)

    def _initialise(self, data: Path) -> None:
        options = ["-U", "app", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        child = self._run("initdb", [self._binaries / "initdb", "-D", data, *options])
        try:
            child.wait_until(lambda: not child.running, timeout=START_TIMEOUT)
        finally:
            child.kill()
        if not (data / "PG_VERSION").exists():
            raise RuntimeError(f"initdb failed:\n{child.tail()}")

    def _accepts(self) -> bool:
        """Whether it answers a start-up packet with an authentication message ('R')."""
        body = b"\0\x03\0\0user\0app\0database\0postgres\0\0"
        return answers(self.port, (len(body) + 4).to_bytes(4, "big") + body, b"R")


def _postgresql_binaries() -> Path:
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    on_path = shutil.which("initdb")
    if on_path:
        found.append(Path(on_path).resolve().parent)
    if not found:
        raise NotInstalled("PostgreSQL is not installed: install it (Debian: apt-get install postgresql)")
    return max(found, key=lambda path: [int(number) for number in re.findall(r"\d+", str(path))])


def unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NotInstalled("PostgreSQL refuses to run as root and there is no user postgres or nobody")

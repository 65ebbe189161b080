"""A private PgBouncer in front of a private PostgreSQL."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Self

from tests.support.children import PLAIN_ENVIRONMENT, START_TIMEOUT, Child, Home, NotInstalled, answers
from tests.support.ports import free_port
from tests.support.postgresql import PostgreSQL, unprivileged

TRACKS_PREPARED_STATEMENTS = (1, 21)
NEWER = "BACKCHAT_TEST_PGBOUNCER"  # path of a further program, as of a later release than the system's


class PgBouncer:
    """Listens on TCP with trust, for every database of a server. `settings` are further lines of its configuration."""

    def __init__(self, server: PostgreSQL, mode: str, program: str, *, settings: str = "") -> None:
        self._home = Home("pgb")
        self.port = free_port()
        self._program = program
        users, self._settings = self._home.path / "users", self._home.path / "pgbouncer.ini"
        users.write_text('"app" ""\n')
        self._settings.write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {self.port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {users}\n"
            f"pool_mode = {mode}\ndefault_pool_size = 20\n{settings}"
        )
        self._child: Child | None = None

    def url(self, database: str) -> str:
        """Return the address of a database for SQLAlchemy with asyncpg."""
        return f"postgresql+asyncpg://app@127.0.0.1:{self.port}/{database}"

    def start(self) -> Self:
        """Start; returns when it answers."""
        command = [self._program, self._settings]
        if os.getuid() == 0:  # it refuses to run as root; started as root, it may read its libraries in a home
            command[1:1] = ["-u", unprivileged().pw_name]
        self._child = Child(self._home, "pgbouncer", command, environment=PLAIN_ENVIRONMENT)
        self._child.wait_until(self._accepts, timeout=START_TIMEOUT)
        return self

    def stop(self) -> None:
        """Stop and remove the files."""
        if self._child:
            self._child.stop(signal.SIGINT, timeout=10)
        self._home.close()

    def _accepts(self) -> bool:
        body = b"\0\x03\0\0user\0app\0database\0postgres\0\0"
        return answers(self.port, (len(body) + 4).to_bytes(4, "big") + body, b"R")


def programs() -> dict[str, tuple[int, ...]]:
    """Return the installed programs with their versions."""
    given = os.environ.get(NEWER)  # noqa: TID251 - the tests' own setting
    found = [path for path in (shutil.which("pgbouncer", path=f"{os.defpath}:/usr/sbin"), given) if path]
    return {path: _version(path) for path in found}


def required(*, tracking: bool) -> str:
    """Return a program that does, or does not, track prepared statements.

    Raises:
        NotInstalled: there is none.
    """
    for path, version in programs().items():
        if (version >= TRACKS_PREPARED_STATEMENTS) is tracking:
            return path
    which = "1.21 or newer" if tracking else "before 1.21"
    raise NotInstalled(f"PgBouncer {which} is not installed; {NEWER} may name its program")


def _version(program: str) -> tuple[int, ...]:
    text = subprocess.run([Path(program), "--version"], capture_output=True, text=True, check=True).stdout
    [version] = re.findall(r"PgBouncer (\d+)\.(\d+)", text)[:1]
    return tuple(map(int, version))

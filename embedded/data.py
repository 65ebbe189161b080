"""The data directory: made private, held by one process at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LOCK_FILE = "backchat.lock"


class InUse(RuntimeError):
    """Another process has this data directory open."""


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """The files of one embedded system."""

    path: Path

    @property
    def auth_database(self) -> Path:
        """Users and logins."""
        return self.path / "auth.db"

    @property
    def chat_database(self) -> Path:
        """Sessions and messages."""
        return self.path / "chat.db"

    @property
    def journal(self) -> Path:
        """What is on the bus and not yet done."""
        return self.path / "bus.db"

    @property
    def keys(self) -> Path:
        """The signing keys."""
        return self.path / "keys"


@contextmanager
def hold(path: Path) -> Iterator[DataDirectory]:
    """Make the directory (0700) and keep it to ourselves until the block ends, or the process dies.

    Raises:
        InUse: another process holds it.
        OSError: it cannot be made or written.
    """
    path = path.expanduser().resolve()
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (path / LOCK_FILE).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse(f"{path} is in use by another process") from None
        yield DataDirectory(path)

"""The data directory: private, and locked by one process at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LOCK_FILE = "backchat.lock"


class InUse(RuntimeError):
    """Another process has locked the data directory."""


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """The files of an embedded system."""

    path: Path

    @property
    def auth_database(self) -> Path:
        """The database of users and logins."""
        return self.path / "auth.db"

    @property
    def chat_database(self) -> Path:
        """The database of sessions and messages."""
        return self.path / "chat.db"

    @property
    def journal(self) -> Path:
        """The journal of the bus: unacknowledged messages."""
        return self.path / "bus.db"

    @property
    def keys(self) -> Path:
        """The directory of the signing keys."""
        return self.path / "keys"


@contextmanager
def lock(path: Path) -> Iterator[DataDirectory]:
    """Create the directory with mode 0700, and lock it until the block or the process ends.

    Raises:
        InUse: another process has locked it.
        OSError: it cannot be created or written.
    """
    path = path.expanduser().resolve()
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (path / LOCK_FILE).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse(
                f"{path} is in use by another process: stop it, or set BACKCHAT_DATA_DIR to another directory"
            ) from None
        yield DataDirectory(path)

"""What errors of SQLite mean, by their codes (https://sqlite.org/rescode.html)."""

from __future__ import annotations

import sqlite3


def is_disk_full(error: BaseException) -> bool:
    """Return whether the disk is full or fails; a quota and a limit of the file's size are I/O errors of SQLite."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}

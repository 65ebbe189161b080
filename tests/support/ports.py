"""Free ports below the ephemeral range, safe when several test processes look for some at once."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import TextIO

RANGE = range(20_000, 30_000)  # below Linux's ephemeral range: no outgoing socket steals a listener's port

_held: dict[int, TextIO] = {}  # the locks live as long as this process


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, and that no other test process is given while this one lives."""
    locks = Path(tempfile.gettempdir()) / f"backchat-test-ports-{os.getuid()}"
    locks.mkdir(mode=0o700, exist_ok=True)
    for port in random.sample(RANGE, len(RANGE)):
        if port not in _held and _lock(locks / str(port), port):
            if _unused(port):
                return port
            _held.pop(port).close()
    raise RuntimeError(f"No port of {RANGE} is free.")


def _lock(path: Path, port: int) -> bool:
    file = path.open("a")
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _held[port] = file
        return True
    file.close()
    return False


def _unused(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

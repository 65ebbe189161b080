"""Free ports below the ephemeral range, reserved across parallel test processes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import TextIO

RANGE = range(20_000, 30_000)  # below the ephemeral range of Linux, so that no outgoing socket takes one

_held: dict[int, TextIO] = {}  # file locks, held until this process ends


def free_port() -> int:
    """Return an unused port of 127.0.0.1 and reserve it against other test processes until this one ends."""
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

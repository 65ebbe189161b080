"""Bytes that a client has not read, as far as the kernel shows it.

An HTTP response has no ping. What the client's kernel has received, but the client has not read, is invisible here; it
costs this side nothing.
"""

from __future__ import annotations

import asyncio
import fcntl
import sys
import termios

INT = 4  # bytes


def unread_bytes(transport: asyncio.Transport) -> int:
    """Return the bytes written to a connection that its client has not acknowledged (on Linux: tcp(7), SIOCOUTQ)."""
    buffered = transport.get_write_buffer_size()
    connection = transport.get_extra_info("socket")
    if buffered or connection is None or sys.platform != "linux" or transport.is_closing():
        return buffered
    try:
        return int.from_bytes(fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(INT)), sys.byteorder)
    except OSError:  # it was closed, or is no TCP connection
        return 0

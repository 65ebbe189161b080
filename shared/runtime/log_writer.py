"""A log handler that never blocks: a thread writes the lines, and lines above a bound are dropped and counted.

A pipe that is not read, a stopped terminal or a blocked log driver would otherwise stop the event loop in `write`.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import os
import queue
import select
import threading
import time
from collections.abc import Callable

LINES_MAX = 10_000  # queued lines
LINE_BYTES_MAX = 64 * 1024  # of one line; the rest is cut
CLOSE_TIMEOUT = 2.0  # seconds in which a stopping process writes what is queued
TICK = 1.0  # seconds between two calls of `idle`


class LogWriter(logging.Handler):
    """Formats records in the calling thread and writes them to a file descriptor in a separate one."""

    def __init__(self, descriptor: int, *, dropped: Callable[[int], str], idle: Callable[[], None]) -> None:
        """Takes `dropped`, which returns the line that reports a number of lost lines, and `idle`, called each second.

        `idle` runs in the thread, with the context variables of the caller.
        """
        super().__init__()
        self._descriptor = descriptor
        self._describe_dropped = dropped
        self._idle = idle
        self._lines: queue.Queue[bytes | None] = queue.Queue(LINES_MAX)
        self.dropped = 0  # lines since the last that was written
        self._counting = threading.Lock()  # not the handler's own, see `handle`
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._run,), name="log", daemon=True)
        self._thread.start()

    def handle(self, record: logging.LogRecord) -> bool:
        """Emit a record without the handler's lock: `logging.shutdown` holds it while `close` waits for the thread."""
        passed = bool(self.filter(record))
        if passed:
            self.emit(record)
        return passed

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line, or count it as dropped."""
        try:
            line = self.format(record).encode(errors="backslashreplace")[:LINE_BYTES_MAX]
            self._lines.put_nowait(line + b"\n")
        except queue.Full:
            with self._counting:
                self.dropped += 1
        except Exception:  # noqa: BLE001 - as the standard library's handlers
            self.handleError(record)

    def close(self) -> None:
        """Write what is queued, for at most `CLOSE_TIMEOUT`, and end the thread."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(None)
        if threading.current_thread() is not self._thread:
            self._thread.join(CLOSE_TIMEOUT)
        super().close()

    def _run(self) -> None:
        idle_at = time.monotonic() + TICK
        while True:
            line: bytes | None = b""
            with contextlib.suppress(queue.Empty):
                line = self._lines.get(timeout=TICK)
            if line is None:
                return
            if time.monotonic() >= idle_at:
                idle_at = time.monotonic() + TICK
                self._idle()
            if dropped := self._take_dropped():
                self._write(f"{self._describe_dropped(dropped)}\n".encode())
            self._write(line)

    def _take_dropped(self) -> int:
        with self._counting:
            dropped, self.dropped = self.dropped, 0
            return dropped

    def _write(self, line: bytes) -> None:
        while line:
            try:
                line = line[os.write(self._descriptor, line) :]
            except BlockingIOError:  # another process made the terminal non-blocking
                select.select([], [self._descriptor], [])
            except OSError:  # the reader is gone: the service runs without a log
                return

"""The end of a process writes what is queued, whatever the writer's thread is doing."""

from __future__ import annotations

import logging
import weakref
from pathlib import Path

import pytest

from shared.runtime import log_writer
from shared.runtime.log_writer import LogWriter


def test_shutdown_does_not_wait_for_a_thread_that_logs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`logging.shutdown` holds the lock of a handler while it closes it."""
    monkeypatch.setattr(log_writer, "TICK", 0.0)
    line, last = (logging.makeLogRecord({"msg": text}) for text in ("line", "last"))
    handlers: list[LogWriter] = []

    def idle() -> None:
        for handler in handlers:
            handler.handle(line)

    with (tmp_path / "log").open("wb") as file:
        handler = LogWriter(file.fileno(), dropped=str, idle=idle)
        handlers.append(handler)
        handler.handle(last)
        logging.shutdown([weakref.ref(handler)])
        assert not handler._thread.is_alive()
    assert "last" in (tmp_path / "log").read_text().splitlines()

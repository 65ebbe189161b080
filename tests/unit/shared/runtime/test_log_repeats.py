"""Floods of one kind of event are one line a minute with a count."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import structlog
from structlog.testing import CapturingLogger

from shared.runtime import log_repeats
from shared.runtime.log_repeats import KINDS_MAX, OTHERS, WINDOW, Repeats


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(log_repeats, "time", clock)
    return clock


class Log:
    """What passes a processor."""

    def __init__(self) -> None:
        self.repeats = Repeats()
        self.lines: list[dict[str, Any]] = []

    def write(self, event: str, **fields: Any) -> None:
        logger = CapturingLogger()
        logger.name = "tests"  # type: ignore[attr-defined]
        with contextlib.suppress(structlog.DropEvent):
            self.lines.append(dict(self.repeats(logger, "warning", {"event": event, **fields})))


def test_first_of_a_kind_is_written_and_the_next_minute_has_the_count(clock: Clock) -> None:
    log = Log()
    for _ in range(5):
        log.write("x.failed", reason="A", collapse="A")
    clock.now += WINDOW
    log.write("x.failed", reason="A", collapse="A")
    assert log.lines == [
        {"event": "x.failed", "reason": "A"},
        {"event": "x.failed", "reason": "A", "repeated": 4},
    ]


def test_kinds_differ_by_event_and_key(clock: Clock) -> None:
    log = Log()
    for event, key in [("x.failed", "A"), ("x.failed", "B"), ("y.failed", "A")] * 3:
        log.write(event, reason=key, collapse=key)
    assert [(line["event"], line["reason"]) for line in log.lines] == [
        ("x.failed", "A"),
        ("x.failed", "B"),
        ("y.failed", "A"),
    ]
    del clock


def test_events_without_a_key_are_all_written() -> None:
    log = Log()
    for _ in range(3):
        log.write("user.registered", user="a")
    assert len(log.lines) == 3


def test_flood_from_many_addresses_is_one_kind(clock: Clock) -> None:
    """The memory and the log stay bounded, however many addresses a flood has."""
    log = Log()
    for number in range(3 * KINDS_MAX):
        log.write("passcode.refused", client_address=str(number), collapse=str(number))
    assert len(log.lines) == KINDS_MAX + 1
    assert len(log.repeats._kinds) == KINDS_MAX + 1
    assert ("passcode.refused", OTHERS) in log.repeats._kinds
    del clock


def test_end_of_a_flood_is_written_too(clock: Clock) -> None:
    log = Log()
    for _ in range(4):
        log.write("x.failed", collapse="A")
    clock.now += WINDOW
    with structlog.testing.capture_logs() as written:
        log.repeats.flush()
        log.repeats.flush()
    assert written == [{"event": "x.failed", "repeated": 3, "log_level": "warning"}]
    log.write("x.failed", collapse="A")
    assert "repeated" not in log.lines[-1]

"""Stops: kept for ten minutes, and never too many."""

from __future__ import annotations

from uuid import UUID

import pytest

from chatbot_worker.turns import stopping
from chatbot_worker.turns.stopping import RETENTION, Stops
from shared.contracts.turns import RunTurn, StopTurn

SESSION = UUID(int=1)


def stop(number: int) -> StopTurn:
    return StopTurn(session_id=SESSION, message_id=UUID(int=number))


def turn(number: int) -> RunTurn:
    return RunTurn(
        session_id=SESSION,
        message_id=UUID(int=number),
        chatbot_id="a",
        reply_to=UUID(int=0),
        starts=0,
        again=False,
        context=[],
    )


def test_stop_is_kept_for_the_retention_time() -> None:
    """The retention starts with the latest stop; after it the stop is removed."""
    now = 0.0
    stops = Stops(lambda: now)
    stops.add(stop(1))
    now = 10.0
    stops.add(stop(2))
    stops.add(stop(1))
    now = RETENTION + 5
    assert stops.holds(turn(1))
    assert not stops.holds(turn(3))
    now = RETENTION + 11
    assert not stops.holds(turn(1))
    stops.add(stop(3))
    assert len(stops._until) == 1


def test_oldest_stops_are_removed_above_the_maximum(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of stops does not grow the memory of a worker."""
    monkeypatch.setattr(stopping, "STOPS_MAX", 10)
    stops = Stops(lambda: 0.0)
    for number in range(100):
        stops.add(stop(number))
    assert [number for number in range(100) if stops.holds(turn(number))] == list(range(90, 100))


def test_callback_is_called_only_inside_its_context() -> None:
    """Each stop once; a later watcher of the same turn is not lost when an earlier one leaves."""
    stops = Stops(lambda: 0.0)
    told: list[str] = []
    with stops.watch(turn(1), lambda: told.append("first")):
        stops.add(stop(2))
        stops.add(stop(1))
        with stops.watch(turn(1), lambda: told.append("second")):
            stops.add(stop(1))
    stops.add(stop(1))
    assert told == ["first", "second"]

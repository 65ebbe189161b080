"""The golden scenarios, which the TypeScript kit plays too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.backchat_client.player import SCENARIOS, Player

FILES = sorted(SCENARIOS.glob("*.json"))


@pytest.mark.parametrize("scenario", FILES, ids=lambda path: path.stem)
def test_scenario(scenario: Path) -> None:
    """The kit does and holds what the scenario says, step by step."""
    Player().play(scenario)


def test_there_are_scenarios() -> None:
    """A moved directory does not make the suite above empty, and so green."""
    assert len(FILES) >= 16

"""The golden scenarios, which the TypeScript kit plays too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.backchat_client.player import SCENARIOS, Player

FILES = sorted(SCENARIOS.glob("*.json"))


@pytest.mark.parametrize("scenario", FILES, ids=lambda path: path.stem)
def test_scenario_is_played(scenario: Path) -> None:
    """The kit makes the calls and reaches the state of the scenario, step by step."""
    Player().play(scenario)


def test_scenarios_are_found() -> None:
    """Fails if the directory was moved, which would leave the suite above empty."""
    assert len(FILES) >= 16

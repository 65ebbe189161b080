"""The flags."""

from __future__ import annotations

import pytest

from benchmarks.options import SYSTEMS, parse


def test_the_default_is_all_systems_and_three_rounds() -> None:
    options = parse([])
    assert (options.systems, options.rounds, options.audit) == (SYSTEMS, 3, True)
    assert [phase.name for phase in options.phases] == ["100x4", "50x1", "50/s"]


def test_streamed_phases_have_the_first_load_of_each_kind() -> None:
    assert [phase.name for phase in parse([]).streamed] == ["100x4 streamed", "50/s streamed"]
    assert [phase.name for phase in parse(["--rates", ""]).streamed] == ["100x4 streamed"]
    assert parse(["--no-streamed"]).streamed == ()


def test_shapes_rates_and_settings_are_read() -> None:
    options = parse(["--shapes", "10x2", "--rates", "50,500", "--set", "BACKCHAT_PARTITIONS=8", "--systems", "bare"])
    assert [phase.name for phase in options.phases] == ["10x2", "50/s", "500/s"]
    assert options.phases[-1].connections == 10
    assert options.environment == {"BACKCHAT_PARTITIONS": "8"}
    assert options.systems == ("bare",)


@pytest.mark.parametrize("wrong", [["--systems", "node"], ["--shapes", "100"], ["--rates", "fast"]])
def test_what_makes_no_sense_is_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        parse(wrong)

"""Medians, ratios by round, verdicts, and the table made of them."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import figures, report, targets
from benchmarks.figures import Figure
from benchmarks.generator.latency import percentile, summary

NO_HARM = {"lost": 0, "doubled": 0, "reordered": 0, "refused": 0}


def one_round(rate: float, cpu: dict[str, float], *, harm: dict[str, int] | None = None) -> dict[str, Any]:
    closed = {
        "turns_per_second": rate,
        "cpu_us": cpu,
        "ack_ms": {},
        "generator_us": 20.0,
        "strangers": 0.02,
        "memory_mib": dict.fromkeys(cpu, 50.0),
    }
    opened = closed | {what: {"p50": 2.0, "p99": 9.0} for what in ("ack_ms", "stored_ms", "reply_ms")}
    return {"phases": {"100x4": closed, "50/s": opened}, "tally": NO_HARM | (harm or {}), "completed": 7}


def rounds(*rates: float, part: str = "bare") -> list[dict[str, Any]]:
    return [one_round(rate, {part: 100.0}) for rate in rates]


def test_percentiles_are_nearest_rank() -> None:
    ascending = [float(n) for n in range(1, 101)]
    assert [percentile(ascending, q) for q in (0.5, 0.99, 1.0)] == [51.0, 100.0, 100.0]


def test_a_summary_is_in_milliseconds() -> None:
    assert summary([0.003, 0.001, 0.002]) == {"p50": 2.0, "p90": 3.0, "p99": 3.0, "max": 3.0}
    assert summary([]) == {}


def test_ratios_are_taken_round_by_round() -> None:
    # Ratio of the medians would be 2.0.
    assert figures.ratio(rounds(10, 20, 90), rounds(10, 10, 30), "100x4") == Figure(2.0, 1.0, 3.0)
    assert figures.ratio(rounds(10, 40, 20), rounds(1, 20, 20), "100x4") == Figure(2.0, 1.0, 10.0)


def test_a_ratio_to_a_system_that_was_not_run_is_nothing() -> None:
    assert figures.ratio(rounds(10), [], "100x4") is None


def test_cpu_is_summed_over_parts() -> None:
    measured = [one_round(1, {"gateway": 100.0, "postgresql": 50.0}), one_round(1, {"gateway": 200.0})]
    assert figures.cpu(measured, "100x4") == Figure(175.0, 150.0, 200.0)
    assert figures.cpu(measured, "100x4", "gateway") == Figure(150.0, 100.0, 200.0)
    assert figures.parts(measured, "100x4") == ["gateway", "postgresql"]


def test_a_target_is_met_or_missed_by_the_median() -> None:
    verdict = targets.Verdict("x", Figure(15.0, 1.0, 99.0), 15, at_least=True)
    assert verdict.met
    assert not targets.Verdict("x", Figure(14.9, 1.0, 99.0), 15, at_least=True).met
    assert targets.Verdict("x", Figure(5.0, 1.0, 99.0), 5, at_least=False).met
    assert not targets.Verdict("x", Figure(5.1, 1.0, 99.0), 5, at_least=False).met


@pytest.mark.parametrize("kind", ["lost", "doubled", "reordered"])
def test_any_harm_misses_the_target(kind: str) -> None:
    harmed = [one_round(1, {"gateway": 1.0}, harm={kind: 1})]
    missed = [verdict.what for verdict in targets.verdicts({"distributed": harmed}) if not verdict.met]
    assert missed == ["distributed, lost + doubled + reordered"]


def test_the_gateway_is_measured_against_bare() -> None:
    systems = {"distributed": [one_round(1, {"gateway": 160.0})], "bare": rounds(1)}
    found = {verdict.what: verdict for verdict in targets.verdicts(systems)}
    verdict = found["gateway ÷ bare, CPU µs a turn 100x4"]
    assert verdict.figure.median == 1.6
    assert not verdict.met


@pytest.mark.parametrize(("share", "distrusted"), [(0.02, False), (0.3, True)])
def test_a_run_on_a_busy_machine_is_not_to_be_trusted(*, share: float, distrusted: bool) -> None:
    measured = one_round(1, {"bare": 1.0})
    for phase in measured["phases"].values():
        phase["strangers"] = share
    run = {
        "systems": {"bare": [measured]},
        "ceiling": {"turns_per_second": 1.0, "generator_us": 1.0},
        "machine": {},
        "flags": [],
    }
    assert ("DISTRUST" in report.markdown(run, ["100x4"], ["50/s"])) is distrusted


def test_the_table_has_a_row_a_system_and_a_closing_line() -> None:
    run = {
        "systems": {"distributed": rounds(2000, part="gateway"), "seed": rounds(100, part="flask")},
        "ceiling": {"turns_per_second": 40_000.0, "generator_us": 22.0},
        "machine": {"cores": "2"},
        "flags": [],
    }
    lines = report.markdown(run, ["100x4"], ["50/s"]).splitlines()
    assert [line.split("|")[1].strip() for line in lines[:4]] == ["system", "---", "distributed", "seed"]
    assert len({line.count("|") for line in lines[:4]}) == 1
    assert "20.0 [20.0..20.0]" in lines[2]
    assert lines[-1] == "all 7 targets met"


def test_a_streamed_load_is_shown_with_its_deltas_and_without_ratios() -> None:
    measured = one_round(2000, {"gateway": 100.0})
    measured["phases"]["100x4 streamed"] = measured["phases"]["100x4"] | {"deltas_a_turn": 9.8}
    run = {
        "systems": {"distributed": [measured], "seed": rounds(100, part="flask")},
        "ceiling": {"turns_per_second": 1.0, "generator_us": 1.0},
        "machine": {},
        "flags": [],
    }
    heads, _, row, baseline = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in report.markdown(run, ["100x4", "100x4 streamed"], []).splitlines()[:4]
    )
    assert heads[4:6] == ["turns/s 100x4 streamed", "deltas a turn 100x4 streamed"]
    assert row[4:6] == ["2000 [2000..2000]", "9.80 [9.80..9.80]"]
    assert baseline[4:6] == ["-", "-"]

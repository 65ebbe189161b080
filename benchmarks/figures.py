"""Computes the figures of a run: medians of its rounds with their range, and ratios of each round. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

Rounds = Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Figure:
    """The median, the minimum and the maximum of the rounds."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure | None:
        """Return the figure of some values; None without values."""
        return cls(median(values), min(values), max(values)) if values else None

    def __str__(self) -> str:
        return f"{_short(self.median)} [{_short(self.least)}..{_short(self.greatest)}]"


def turns_per_second(rounds: Rounds, phase: str) -> Figure | None:
    """Return the completed turns per second."""
    return Figure.of([result["phases"][phase]["turns_per_second"] for result in rounds if phase in result["phases"]])


def ratio(rounds: Rounds, others: Rounds, phase: str) -> Figure | None:
    """Return the ratio of turns per second to another system, computed within each round."""
    return Figure.of(
        [
            one["phases"][phase]["turns_per_second"] / other["phases"][phase]["turns_per_second"]
            for one, other in zip(rounds, others, strict=False)
            if phase in one["phases"] and other["phases"].get(phase, {}).get("turns_per_second")
        ]
    )


def cpu(rounds: Rounds, phase: str, part: str | None = None) -> Figure | None:
    """Return the CPU microseconds per turn, of one part or of all."""
    return Figure.of(
        [
            sum(used for name, used in result["phases"][phase]["cpu_us"].items() if part in {None, name})
            for result in rounds
            if phase in result["phases"]
        ]
    )


def is_streamed(phase: str) -> bool:
    """Return whether the replies of a phase are streamed."""
    return phase.endswith(" streamed")


def deltas(rounds: Rounds, phase: str) -> Figure | None:
    """Return the deltas that a user received per turn."""
    return Figure.of([result["phases"][phase]["deltas_a_turn"] for result in rounds if phase in result["phases"]])


def latency(rounds: Rounds, phase: str, what: str, quantile: str) -> Figure | None:
    """Return the milliseconds from the intended send time of a turn to its `ack`, `stored` message or `reply`."""
    found = (result["phases"].get(phase, {}).get(f"{what}_ms", {}).get(quantile) for result in rounds)
    return Figure.of([value for value in found if value is not None])


def strangers(rounds: Rounds) -> Figure | None:
    """Return the percentage of the machine that other processes used. Above 10 the run is unreliable."""
    return Figure.of([phase["strangers"] * 100 for result in rounds for phase in result["phases"].values()])


def harm(rounds: Rounds) -> dict[str, int]:
    """Return the lost, doubled, reordered and refused turns of all rounds."""
    return {
        kind: sum(result["tally"][kind] for result in rounds) for kind in ("lost", "doubled", "reordered", "refused")
    }


def parts(rounds: Rounds, phase: str) -> list[str]:
    """Return the parts of a system, the one with the most CPU first."""
    found = {part for result in rounds for part in result["phases"].get(phase, {}).get("cpu_us", {})}
    return sorted(found, key=lambda part: -_median_cpu(rounds, phase, part))


def _median_cpu(rounds: Rounds, phase: str, part: str) -> float:
    figure = cpu(rounds, phase, part)
    return figure.median if figure else 0.0


def _short(value: float) -> str:
    if value >= 10_000:
        return f"{value / 1000:.1f}k"
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"

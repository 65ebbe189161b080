"""The targets of Backchat, as ratios to a baseline where absolute values depend on the machine. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks import figures
from benchmarks.figures import Figure, Rounds


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target and its measured figure. The bound is a minimum if `at_least`, else a maximum."""

    what: str
    figure: Figure
    bound: float
    at_least: bool

    @property
    def met(self) -> bool:
        """Whether the median meets the bound."""
        return self.figure.median >= self.bound if self.at_least else self.figure.median <= self.bound

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        return f"{'met ' if self.met else 'MISSED'} {self.what}: {self.figure}, wanted {sign} {self.bound:g}"


def verdicts(systems: Mapping[str, Rounds]) -> list[Verdict]:
    """Return the verdicts on the targets that apply to the measured systems and phases."""
    distributed, embedded = systems.get("distributed", ()), systems.get("embedded", ())
    seed, bare = systems.get("seed", ()), systems.get("bare", ())
    least = [
        ("distributed ÷ seed, turns/s 100x4", figures.ratio(distributed, seed, "100x4"), 15),
        ("distributed ÷ seed, turns/s 50x1", figures.ratio(distributed, seed, "50x1"), 8),
        ("distributed ÷ bare, turns/s 100x4", figures.ratio(distributed, bare, "100x4"), 0.4),
        ("embedded ÷ distributed, turns/s 100x4", figures.ratio(embedded, distributed, "100x4"), 0.7),
    ]
    most = [
        ("distributed, CPU µs a turn 100x4", figures.cpu(distributed, "100x4"), 400),
        ("gateway ÷ bare, CPU µs a turn 100x4", _gateway_to_bare(distributed, bare), 1.5),
        *(
            (f"distributed, {what} {quantile} ms at {rate}", figures.latency(distributed, rate, what, quantile), bound)
            for rate, what, quantile, bound in (
                ("50/s", "ack", "p50", 5),
                ("50/s", "ack", "p99", 12),
                ("50/s", "reply", "p50", 12),
                ("50/s", "reply", "p99", 25),
                ("500/s", "reply", "p99", 40),
                ("3000/s", "reply", "p99", 130),
            )
        ),
        *(
            (f"{name}, lost + doubled + reordered", _wrong(systems[name]), 0)
            for name in ("embedded", "distributed")
            if name in systems
        ),
    ]
    found = [Verdict(what, figure, bound, at_least=True) for what, figure, bound in least if figure]
    return found + [Verdict(what, figure, bound, at_least=False) for what, figure, bound in most if figure]


def _gateway_to_bare(distributed: Rounds, bare: Rounds) -> Figure | None:
    return Figure.of(
        [
            one["phases"]["100x4"]["cpu_us"]["gateway"] / other["phases"]["100x4"]["cpu_us"]["bare"]
            for one, other in zip(distributed, bare, strict=False)
            if "100x4" in one["phases"] and "100x4" in other["phases"]
        ]
    )


def _wrong(rounds: Rounds) -> Figure | None:
    harm = figures.harm(rounds)
    return Figure.of([float(harm["lost"] + harm["doubled"] + harm["reordered"])])

"""The flags of `python -m benchmarks`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.generator.job import Phase

SYSTEMS = ("embedded", "distributed", "seed", "bare")
RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one run."""

    systems: tuple[str, ...]
    rounds: int
    phases: tuple[Phase, ...]  # of replies that come at once, for every system
    streamed: tuple[Phase, ...]  # of replies of 10 deltas, for Backchat only
    gateways: int
    audit: bool
    environment: dict[str, str]
    results: Path
    given: tuple[str, ...]


def parse(arguments: Sequence[str]) -> Options:
    """Parse the flags; exit with a message if they are invalid."""
    parser = argparse.ArgumentParser("python -m benchmarks", description="Whole turns a second, CPU and latencies.")
    parser.add_argument("--systems", type=_systems, default=SYSTEMS, help=f"of {','.join(SYSTEMS)} (all)")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds; medians are shown (3)")
    parser.add_argument("--seconds", type=float, default=4.0, help="closed-loop window (4)")
    parser.add_argument("--open-seconds", type=float, default=6.0, help="open-loop window (6)")
    parser.add_argument("--warm", type=float, default=1.0, help="before each window (1)")
    parser.add_argument("--shapes", type=_shapes, default=((100, 4), (50, 1)), help="connections x lanes (100x4,50x1)")
    parser.add_argument("--rates", type=_rates, default=(50.0,), help="turns a second of the open loop (50)")
    parser.add_argument("--gateways", type=int, default=1, help="of the distributed stack (1)")
    parser.add_argument("--set", action="append", default=[], metavar="BACKCHAT_X=Y", help="a setting for all services")
    parser.add_argument("--no-streamed", action="store_true", help="measure no replies of 10 deltas")
    parser.add_argument("--no-audit", action="store_true", help="do not read the histories back at the end")
    parser.add_argument("--results", type=Path, default=RESULTS, help="directory of the JSON")
    flags = parser.parse_args(arguments)
    return Options(
        systems=flags.systems,
        rounds=flags.rounds,
        phases=_phases(flags),
        streamed=() if flags.no_streamed else _streamed(flags),
        gateways=flags.gateways,
        audit=not flags.no_audit,
        environment=dict(setting.split("=", 1) for setting in flags.set),
        results=flags.results,
        given=tuple(arguments),
    )


def _phases(flags: argparse.Namespace) -> tuple[Phase, ...]:
    connections, lanes = flags.shapes[0]
    closed = [
        Phase(kind="closed", connections=shape[0], lanes=shape[1], warm=flags.warm, seconds=flags.seconds)
        for shape in flags.shapes
    ]
    opened = [
        Phase(kind="open", connections=connections, lanes=lanes, warm=flags.warm, seconds=flags.open_seconds, rate=rate)
        for rate in flags.rates
    ]
    return (*closed, *opened)


def _streamed(flags: argparse.Namespace) -> tuple[Phase, ...]:
    """Return the first closed and the first open phase, with streamed replies."""
    phases = {phase.kind: phase for phase in reversed(_phases(flags))}
    return tuple(phase.model_copy(update={"streamed": True}) for phase in reversed(phases.values()))


def _systems(text: str) -> tuple[str, ...]:
    chosen = tuple(text.split(","))
    if unknown := set(chosen) - set(SYSTEMS):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return chosen


def _shapes(text: str) -> tuple[tuple[int, int], ...]:
    try:
        return tuple((int(connections), int(lanes)) for connections, lanes in (s.split("x") for s in text.split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError("want 100x4,50x1") from None


def _rates(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(rate) for rate in text.split(",") if rate)
    except ValueError:
        raise argparse.ArgumentTypeError("want 50,500") from None

"""Formats the results of a run as a Markdown table, and writes them as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks import figures
from benchmarks.figures import Figure, Rounds
from benchmarks.targets import verdicts

NOTHING = "-"  # not measured
STRANGERS_MAX = 10  # per cent of the machine; with more the figures say little


def markdown(run: dict[str, Any], closed: list[str], opened: list[str]) -> str:
    """Return the table, the notes, the targets and a closing line."""
    systems: dict[str, Rounds] = run["systems"]
    heads = ["system"]
    streamed = [shape for shape in closed if figures.is_streamed(shape)]
    for shape in closed:
        heads += [f"turns/s {shape}", *(() if shape in streamed else ("÷ seed", "÷ bare"))]
    heads += [f"deltas a turn {shape}" for shape in streamed]
    heads += [f"CPU µs a turn {shape} (by part)" for shape in (*closed[:1], *streamed)]
    for rate in opened:
        heads += [f"{what} p50 / p99 ms at {rate}" for what in ("ack", "stored", "reply")]
    heads += ["memory MiB (PSS)", "lost / doubled / reordered", "refused"]
    lines = [_row(heads), _row(["---"] * len(heads))]
    for name, rounds in systems.items():
        cells = [name]
        for shape in closed:
            others = () if shape in streamed else ("seed", "bare")
            cells += [
                _text(figures.turns_per_second(rounds, shape)),
                *(_text(figures.ratio(rounds, systems.get(other, ()), shape)) for other in others),
            ]
        cells += [_text(figures.deltas(rounds, shape)) for shape in streamed]
        cells += [_cpu(rounds, shape) for shape in (*closed[:1], *streamed)]
        for rate in opened:
            cells += [_latency(rounds, rate, what) for what in ("ack", "stored", "reply")]
        lines.append(_row([*cells, _memory(rounds), *_harm(rounds)]))
    return "\n".join([*lines, "", *_notes(run), "", *_targets(systems)])


def write(run: dict[str, Any], directory: Path) -> Path:
    """Write the run as JSON; return the path of the file."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{run['machine']['time'].replace(':', '')}.json"
    path.write_text(json.dumps(run, indent=1) + "\n")
    return path


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(figure: Figure | None) -> str:
    return str(figure) if figure else NOTHING


def _cpu(rounds: Rounds, shape: str) -> str:
    total = figures.cpu(rounds, shape)
    if not total:
        return NOTHING
    by_part = ((part, figures.cpu(rounds, shape, part)) for part in figures.parts(rounds, shape))
    return f"{total} ({', '.join(f'{part} {figure.median:.0f}' for part, figure in by_part if figure)})"


def _latency(rounds: Rounds, rate: str, what: str) -> str:
    found = [figures.latency(rounds, rate, what, quantile) for quantile in ("p50", "p99")]
    return " / ".join(f"{figure.median:.1f}" for figure in found if figure) or NOTHING


def _memory(rounds: Rounds) -> str:
    last = list(rounds[-1]["phases"].values())[-1]["memory_mib"]
    return f"{sum(last.values()):.0f} ({', '.join(f'{part} {size:.0f}' for part, size in last.items())})"


def _harm(rounds: Rounds) -> list[str]:
    harm = figures.harm(rounds)
    return [f"{harm['lost']} / {harm['doubled']} / {harm['reordered']}", str(harm["refused"])]


def _notes(run: dict[str, Any]) -> list[str]:
    ceiling, machine = run["ceiling"], run["machine"]
    turns = sum(result["completed"] for rounds in run["systems"].values() for result in rounds)
    used = ", ".join(
        f"{name} {result['generator_us']:.0f}"
        for name, rounds in run["systems"].items()
        for result in [next(iter(rounds[-1]["phases"].values()))]
    )
    strangers = figures.strangers([result for rounds in run["systems"].values() for result in rounds])
    return [
        (
            f"Generator: ceiling {ceiling['turns_per_second']:.0f} turns/s against a trivial picows server,"
            f" {ceiling['generator_us']:.0f} µs of its own CPU a turn there; in the first shape: {used} µs."
        ),
        f"{turns} turns checked. Medians of the rounds [least..greatest]; ratios are taken round by round.",
        f"Other processes used {_text(strangers)} % of the machine meanwhile."
        + (" DISTRUST THIS RUN." if strangers and strangers.median > STRANGERS_MAX else ""),
        " · ".join(f"{name} {value}" for name, value in machine.items())
        + f" · flags: {' '.join(run['flags']) or NOTHING}",
    ]


def _targets(systems: dict[str, Rounds]) -> list[str]:
    found = verdicts(systems)
    missed = [verdict for verdict in found if not verdict.met]
    closing = f"TARGETS MISSED: {len(missed)} of {len(found)}" if missed else f"all {len(found)} targets met"
    return [f"- {verdict}" for verdict in found] + ["", closing if found else "no target applies to these systems"]

"""Report of a run: a Markdown table for standard output, and JSON."""

from __future__ import annotations

import json
import platform
import time
from pathlib import Path
from typing import Any

from tests.chaos.checker import ANOMALIES
from tests.chaos.options import Options
from tests.chaos.recovery import MEDIAN_TARGET, slow
from tests.chaos.run import Outcome

EXAMPLES = 20  # per class of anomaly


def as_json(options: Options, outcome: Outcome) -> dict[str, Any]:
    """Return the content of the JSON file."""
    start = outcome.faults[0].start if outcome.faults else 0.0
    return {
        "seed": options.seed,
        "profile": options.profile,
        "clients": options.clients,
        "rate": options.rate,
        "versions": {"python": platform.python_version(), **outcome.versions},
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(outcome.seconds, 1),
        "clean": outcome.clean,
        "drained": outcome.drained,
        "anomalies": {
            name: {"count": len(found), "examples": found[:EXAMPLES]} for name, found in anomalies(outcome).items()
        },
        "counts": dict(sorted(outcome.verdict.findings.counts.items())),
        "bound": bound(outcome),
        "restarts": outcome.restarts,
        "recovery": outcome.verdict.recovery,
        "recovery_p50": outcome.verdict.median,
        "slow": slow(outcome.verdict.recovery),
        "faults": [
            {**fault.model_dump(), "start": round(fault.start - start, 3), "repair": round(fault.repair - start, 3)}
            for fault in outcome.faults
        ],
    }


def bound(outcome: Outcome) -> float | None:
    """Return 3/M for M acked messages: without an observed loss, the rate of loss is below it with 95 % confidence."""
    acked = outcome.verdict.findings.counts["acked"]
    return 3 / acked if acked else None


def markdown(options: Options, outcome: Outcome) -> str:
    """Render the tables."""
    counts = outcome.verdict.findings.counts
    acked = counts["acked"]
    lines = [
        f"seed {options.seed}, profile {options.profile}, {options.clients} clients, {outcome.seconds:.0f} s, "
        f"{len(outcome.faults)} faults; "
        + ", ".join(f"{name} {version}" for name, version in sorted(outcome.versions.items())),
        "",
        "| | count | what it means |",
        "| --- | ---: | --- |",
        f"| acked | {acked:,} | accepted messages; each must be stored once and answered |",
        *(f"| {name} | {len(found):,} | {_meaning(name)} |" for name, found in anomalies(outcome).items()),
        f"| unknown | {counts['unknown_stored']:,} + {counts['unknown_absent']:,} | without an ack that counts: stored + not stored |",
        (
            f"| attempts | {counts['tries']:,} | of which acked {counts['tries_acked']:,}, "
            f"`unavailable` {counts['tries_unavailable']:,}, without an ack {counts['tries_unanswered']:,}; "
            f"answered within 6 s: {_share(counts['tries_answered_in_6s'], counts['tries'])} |"
        ),
        f"| bound | {bound(outcome) or 1:.1e} | 3/M: if no loss was seen, the rate of loss is below this with 95 % confidence |",
        "",
        f"Recovery, p50 of all faults: {outcome.verdict.median} s (target: ≤ {MEDIAN_TARGET:g} s).",
        "",
        "| fault | times | recovery p50, s | max, s | target |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    missed = slow(outcome.verdict.recovery)
    for kind, row in outcome.verdict.recovery.items():
        late = f", {row['not_before_the_end']} not before the end" if row["not_before_the_end"] else ""
        met = "missed" if kind in missed else "met"
        lines.append(f"| {kind} | {row['faults']} | {row['p50']} | {row['max']}{late} | ≤ {row['target']:g}: {met} |")
    return "\n".join(lines)


def write(options: Options, outcome: Outcome) -> Path:
    """Write the JSON file; returns its path."""
    options.results.mkdir(parents=True, exist_ok=True)
    path = options.results / f"{time.strftime('%Y%m%dT%H%M%S')}-{options.profile}-{options.seed}.json"
    path.write_text(json.dumps(as_json(options, outcome), indent=1) + "\n")
    return path


def anomalies(outcome: Outcome) -> dict[str, list[str]]:
    """Return the findings of every class, empty classes included."""
    ours = {"crashes": outcome.crashes, "slow_stops": outcome.slow_stops}
    if not outcome.drained:
        ours["not_drained"] = ["an acked message was not received as stored and answered in time"]
    return {**outcome.verdict.findings.anomalies, **ours}


def _meaning(name: str) -> str:
    others = {
        "crashes": "processes that ended without a fault",
        "slow_stops": "SIGTERM after which a process did not end with code 0 within 10 s",
        "not_drained": "messages without a final state one minute after the last fault",
    }
    return {**ANOMALIES, **others}[name]


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} %" if whole else "-"

"""The flags of `python -m tests.chaos`, which `make chaos` gives from FAULTS, CLIENTS, SECONDS, SEED and PROFILE."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.faults import PROFILES, Kind, chosen

PROJECT, URL = "backchat", "http://127.0.0.1:8080"
RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True, slots=True)
class Options:
    """One run. It ends after `faults` faults or `seconds` seconds of them, whichever is first."""

    faults: int
    seconds: float
    clients: int
    rate: float  # messages a second, of all clients together
    seed: int
    profile: str
    kinds: tuple[Kind, ...]
    results: Path
    keep: bool = False
    project: str = PROJECT  # of Compose, and where its edge is: for the composed profile
    url: str = URL


def parse(arguments: Sequence[str]) -> Options:
    """Read the flags, or end with a line that says what is wrong."""
    parser = argparse.ArgumentParser(
        "python -m tests.chaos", description="Break everything while clients chat; report what they lost."
    )
    parser.add_argument("--faults", type=int, default=40, help="faults to do (40)")
    parser.add_argument("--seconds", type=float, default=600.0, help="for at most so long (600)")
    parser.add_argument("--clients", type=int, default=100, help="people who chat (100)")
    parser.add_argument("--rate", type=float, default=40.0, help="messages a second of all of them (40)")
    parser.add_argument("--seed", type=int, default=None, help="the same seed plans the same faults (a random one)")
    parser.add_argument(
        "--profile", choices=PROFILES, default="single", help="a broker of one node or of three; all in one; containers"
    )
    parser.add_argument("--kinds", default="", help="only faults whose name contains one of these words, by commas")
    parser.add_argument("--results", type=Path, default=RESULTS, help="directory of the report")
    parser.add_argument("--keep", action="store_true", help="keep ledgers and logs of a run without harm, too")
    parser.add_argument("--project", default=PROJECT, help="composed: the project's name (backchat)")
    parser.add_argument("--url", default=URL, help=f"composed: where it is ({URL})")
    flags = parser.parse_args([argument for argument in arguments if argument])
    try:
        kinds = chosen(flags.profile, flags.kinds)
    except ValueError as error:
        parser.error(str(error))
    seed = secrets.randbelow(10**6) if flags.seed is None else flags.seed
    return Options(
        faults=flags.faults,
        seconds=flags.seconds,
        clients=flags.clients,
        rate=flags.rate,
        seed=seed,
        profile=flags.profile,
        kinds=kinds,
        results=flags.results,
        keep=flags.keep,
        project=flags.project,
        url=flags.url,
    )

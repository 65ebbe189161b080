"""Flags of `python -m tests.chaos`. `make chaos` sets them from FAULTS, CLIENTS, SECONDS, SEED and PROFILE."""

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
    """Options of one run. Fault injection ends after `faults` faults or `seconds` seconds, whichever is first."""

    faults: int
    seconds: float
    clients: int
    rate: float  # messages per second, sum of all clients
    seed: int
    profile: str
    kinds: tuple[Kind, ...]
    results: Path
    keep: bool = False
    project: str = PROJECT  # Compose project; only for the composed profile
    url: str = URL  # address of its edge


def parse(arguments: Sequence[str]) -> Options:
    """Parse the flags; exits with code 2 and an error message if they are invalid."""
    parser = argparse.ArgumentParser(
        "python -m tests.chaos",
        description="Inject faults while clients chat, and report every anomaly that users could see.",
    )
    parser.add_argument("--faults", type=int, default=40, help="maximum number of faults (40)")
    parser.add_argument(
        "--seconds", type=float, default=600.0, help="maximum duration of fault injection in seconds (600)"
    )
    parser.add_argument("--clients", type=int, default=100, help="simulated users (100)")
    parser.add_argument("--rate", type=float, default=40.0, help="messages per second, sum of all clients (40)")
    parser.add_argument("--seed", type=int, default=None, help="seed of the fault plan (random)")
    parser.add_argument(
        "--profile",
        choices=PROFILES,
        default="single",
        help="single: broker with one node; cluster: three nodes; embedded: one process; composed: containers of a running stack",
    )
    parser.add_argument(
        "--kinds", default="", help="comma-separated words: only faults whose name contains any of them"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="directory of the JSON report")
    parser.add_argument(
        "--keep", action="store_true", help="keep the operation logs and process logs of a clean run too"
    )
    parser.add_argument("--project", default=PROJECT, help="composed: Compose project (backchat)")
    parser.add_argument("--url", default=URL, help=f"composed: address of the edge ({URL})")
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

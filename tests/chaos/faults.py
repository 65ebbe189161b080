"""Kinds of faults, and the seeded plan of a run. No I/O."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

SERVICES = ("gateway", "persistence", "chatbot", "auth")
ON_BROKER = ("gateway", "persistence", "chatbot")
ON_DATABASE = ("persistence", "auth")
GAP = (1.5, 5.0)  # seconds from the repair of one fault to the start of the next, drawn at random


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault: the action, the part it breaks, and the range of its duration in seconds."""

    action: str
    part: str
    lasts: tuple[float, float] = (0.0, 0.0)

    @property
    def name(self) -> str:
        """Name in reports."""
        return f"{self.action} {self.part}"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a plan. `choice` selects one of several processes, nodes or links; it may be any integer."""

    kind: Kind
    gap: float  # seconds since the repair of the previous fault
    lasts: float  # seconds
    choice: int


def _of(action: str, parts: Sequence[str], lasts: tuple[float, float] = (0.0, 0.0)) -> list[Kind]:
    return [Kind(action, part, lasts) for part in parts]


SINGLE: tuple[Kind, ...] = (
    *_of("kill", SERVICES),
    *_of("pause", SERVICES, (1.0, 10.0)),
    *_of("restart", SERVICES),
    *_of("kill", ("broker", "database"), (0.0, 3.0)),
    *_of("pause", ("broker", "database"), (1.0, 10.0)),
    *_of("restart", ("broker", "database"), (0.0, 1.0)),
    *_of("cut", [f"{part}-broker" for part in ON_BROKER]),
    *_of("cut", [f"{part}-database" for part in ON_DATABASE]),
    *_of("cut", ("client-gateway",)),
    *_of("stall", [f"{part}-broker" for part in ON_BROKER], (2.0, 9.0)),
    *_of("stall", [f"{part}-database" for part in ON_DATABASE], (2.0, 9.0)),
    *_of("stall", ("client-gateway",), (2.0, 9.0)),
    *_of("delay", ("broker", "database"), (3.0, 6.0)),
    *_of("close channels of", ("consumers",), (1.0, 3.0)),
    *_of("duplicate", ("deliveries",), (3.0, 6.0)),
)
CLUSTER: tuple[Kind, ...] = (
    *(kind for kind in SINGLE if kind.part != "broker" or kind.action == "delay"),
    *_of("kill", ("broker node", "leader node"), (0.0, 3.0)),
    *_of("pause", ("broker node", "leader node"), (2.0, 10.0)),
    *_of("restart", ("broker node",), (0.0, 1.0)),
)
EMBEDDED: tuple[Kind, ...] = (
    Kind("kill", "embedded"),
    Kind("pause", "embedded", (1.0, 10.0)),
    Kind("restart", "embedded"),
    Kind("cut", "client-gateway"),
    Kind("stall", "client-gateway", (2.0, 9.0)),
)
COMPOSED: tuple[Kind, ...] = (
    *_of("kill", (*SERVICES, "broker", "database", "edge"), (0.0, 3.0)),
    *_of("pause", (*SERVICES, "broker", "database", "edge"), (1.0, 8.0)),
    *_of("restart", (*SERVICES, "broker", "database", "edge")),
    *_of("disconnect", (*SERVICES, "broker", "database"), (1.0, 8.0)),
)  # of containers, by commands of the engine
PROFILES = {"single": SINGLE, "cluster": CLUSTER, "embedded": EMBEDDED, "composed": COMPOSED}


def plan(seed: int, kinds: Sequence[Kind]) -> Iterator[Fault]:
    """Yield faults without end: rounds of all kinds, each in random order. The same seed gives the same plan."""
    generator = random.Random(seed)
    for _ in count():
        for kind in generator.sample(kinds, len(kinds)):
            yield Fault(
                kind=kind,
                gap=generator.uniform(*GAP),
                lasts=generator.uniform(*kind.lasts),
                choice=generator.randrange(2**30),
            )


def chosen(profile: str, pattern: str) -> tuple[Kind, ...]:
    """Select the kinds of a profile whose names contain one of the comma-separated words of `pattern` (empty: all).

    Raises:
        ValueError: no kind matches.
    """
    words = [word.strip() for word in pattern.split(",") if word.strip()]
    kinds = tuple(kind for kind in PROFILES[profile] if not words or any(word in kind.name for word in words))
    if not kinds:
        raise ValueError(
            f"no kind of fault matches {pattern!r}; there are: {', '.join(k.name for k in PROFILES[profile])}"
        )
    return kinds

"""Which of the keys signs, and which still verify (pure rules): the age of each file decides, so replicas agree.

A key comes into force `overlap` after its file appeared, when every replica and every gateway has seen it published;
the first one at once. From then on it signs, until the next by name comes into force. It is published and verifies
until the last token that it signed has expired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MARGIN = 60.0  # seconds that replicas' clocks may differ and a replica may be late to notice


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A key's file and when it appeared (its modification time, in seconds since 1970)."""

    name: str
    appeared_at: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """The keys at one moment: `published`, by name, of which `signing` is one; `retired` are of no use any more."""

    published: tuple[str, ...]
    signing: str
    retired: tuple[str, ...]
    waiting: tuple[str, ...]  # published, not yet in force


def schedule(files: Sequence[KeyFile], *, overlap: float, token_ttl: float, now: float) -> Schedule:
    """The schedule of one key file or more; `overlap` and `token_ttl` in seconds."""
    ordered = sorted(files, key=lambda file: file.name)
    in_force_at = [float("-inf"), *(file.appeared_at + overlap for file in ordered[1:])]
    superseded_at = [min(in_force_at[place + 1 :], default=float("inf")) for place in range(len(ordered))]
    retired: list[str] = []
    kept: list[str] = []
    for file, end in zip(ordered, superseded_at, strict=True):
        (retired if end + token_ttl + MARGIN <= now else kept).append(file.name)
    signing = max(file.name for file, begin in zip(ordered, in_force_at, strict=True) if begin <= now)
    waiting = [file.name for file in ordered if file.name > signing]
    return Schedule(tuple(kept), signing, tuple(retired), tuple(waiting))

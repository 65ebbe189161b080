"""The schedule of signing keys: which key signs and which keys verify, computed from the age of each key file.

All replicas see the same files, so they agree without communicating. A key starts to sign `overlap` seconds after its
file appeared, when every replica and every gateway has seen its public half; the first key signs immediately. It signs
until the next key, in the order of names, starts. It stays published, and verifies, until the last token that it
signed has expired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MARGIN = 60.0  # seconds by which clocks of replicas may differ, together with the delay of noticing a new file


@dataclass(frozen=True, slots=True)
class KeyFile:
    """The name of a key file and its modification time in seconds since 1970."""

    name: str
    appeared_at: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """The role of each key file, by name, at one moment. `signing` is one of `published`."""

    published: tuple[str, ...]
    signing: str
    retired: tuple[str, ...]  # no valid token was signed with them
    pending: tuple[str, ...]  # published, and will sign later


def schedule(files: Sequence[KeyFile], *, overlap: float, token_ttl: float, now: float) -> Schedule:
    """Compute the schedule of at least one key file; all times are in seconds."""
    ordered = sorted(files, key=lambda file: file.name)
    signs_from = [float("-inf"), *(file.appeared_at + overlap for file in ordered[1:])]
    signs_until = [min(signs_from[place + 1 :], default=float("inf")) for place in range(len(ordered))]
    retired: list[str] = []
    published: list[str] = []
    for file, end in zip(ordered, signs_until, strict=True):
        (retired if end + token_ttl + MARGIN <= now else published).append(file.name)
    signing = max(file.name for file, begin in zip(ordered, signs_from, strict=True) if begin <= now)
    pending = [file.name for file in ordered if file.name > signing]
    return Schedule(tuple(published), signing, tuple(retired), tuple(pending))

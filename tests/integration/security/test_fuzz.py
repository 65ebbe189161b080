"""Some thousand hostile frames, by seeds that are kept; `python -m tests.integration.security.fuzz` sends more."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integration.security import figures
from tests.integration.security.frames import Frames
from tests.integration.security.fuzz import Fuzz
from tests.support.stack import Stack

FRAMES = 1_500
SEEDS = (1, 7)


@pytest.mark.timeout(150)
@pytest.mark.parametrize("seed", SEEDS)
async def test_hostile_frames_do_no_harm(
    stack: Stack, seed: int, record_property: Callable[[str, object], None]
) -> None:
    """No crash, no answer to unauthenticated clients, no foreign text, no remaining socket."""
    outcome = await Fuzz(stack, FRAMES, seed).run()
    print(outcome)  # noqa: T201 - shown when it fails
    record_property("figure", str(figures.frames(outcome)))
    assert outcome.failures() == []
    assert outcome.frames >= FRAMES
    assert {"40", "42", "43", "44"} <= outcome.heard.keys()  # some of them got far
    assert max(outcome.memory) - outcome.memory[0] < 150  # MiB; the long run looks closer


def test_seed_reproduces_the_frames() -> None:
    """So that what one run finds, another one finds again."""
    first, second, other = (Frames(seed) for seed in (3, 3, 4))
    found = [first.next() for _ in range(200)]
    assert [second.next() for _ in range(200)] == found
    assert [other.next() for _ in range(200)] != found
    assert len(set(map(repr, found))) > 150

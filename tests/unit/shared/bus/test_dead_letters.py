"""Dead letters: published whole, or without a body that is too large."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from shared.bus.dead_letters import Publication, publish_dead_letter
from shared.contracts import topology
from shared.contracts.dead_letters import DeadLetter
from shared.errors import PayloadTooLarge, Unavailable

QUEUE = topology.turn_queue("echo")


class Published:
    """Records publications; refuses those that `errors` says."""

    def __init__(self, *errors: Exception) -> None:
        self.calls: list[Sequence[Publication]] = []
        self._errors = list(errors)

    async def __call__(self, publications: Sequence[Publication]) -> None:
        self.calls.append(publications)
        if self._errors:
            raise self._errors.pop(0)

    @property
    def letter(self) -> DeadLetter:
        """The letter of the last call."""
        exchange, key, event = self.calls[-1][0]
        assert (exchange, key, event.source, event.subject) == (topology.DEAD, QUEUE.name, "tests", "s")
        assert isinstance(event.data, DeadLetter)
        return event.data


def letter() -> DeadLetter:
    return DeadLetter.of(b"body", queue=QUEUE.name, reason="MalformedEvent", attempts=3)


async def test_letter_is_published_whole_with_its_notices() -> None:
    published, notice = Published(), (topology.TURNS, "echo", object())
    await publish_dead_letter(published, QUEUE, letter(), source="tests", subject="s", notices=[notice])  # type: ignore[list-item]
    assert (published.letter, len(published.calls)) == (letter(), 1)
    assert published.calls[0][1] == notice


async def test_body_that_is_too_large_is_dropped_and_the_record_kept() -> None:
    published = Published(PayloadTooLarge())
    await publish_dead_letter(published, QUEUE, letter(), source="tests", subject="s")
    assert published.letter == DeadLetter.of(
        b"", queue=QUEUE.name, reason="MalformedEvent (too large to keep)", attempts=3
    )


async def test_unconfirmed_letter_raises() -> None:
    with pytest.raises(Unavailable):
        await publish_dead_letter(Published(Unavailable()), QUEUE, letter(), source="tests", subject="s")

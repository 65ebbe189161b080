"""Publishes dead letters, without their body where the body is too large."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from shared.contracts.dead_letters import DeadLetter
from shared.contracts.envelope import Event
from shared.contracts.topology import DEAD, Exchange, Queue
from shared.errors import PayloadTooLarge

Publication = tuple[Exchange, str, Event]
PublishAll = Callable[[Sequence[Publication]], Awaitable[None]]


async def publish_dead_letter(
    publish_all: PublishAll,
    queue: Queue,
    letter: DeadLetter,
    *,
    source: str,
    subject: str | None = None,
    notices: Sequence[Publication] = (),
) -> None:
    """Publish `letter` to the dead-letter queue of `queue`, and `notices` in the same call.

    If the letter exceeds `EVENT_BYTES_MAX`, its body is dropped, and its reason says so: the queue keeps a record of
    every dead letter.

    Raises:
        Unavailable: the bus did not confirm the letter; the delivery must not be acknowledged.
    """
    try:
        await publish_all([(DEAD, queue.name, Event(source, letter, subject=subject)), *notices])
    except PayloadTooLarge:
        letter = letter.replace(body="", reason=f"{letter.reason} (too large to keep)")
        await publish_all([(DEAD, queue.name, Event(source, letter, subject=subject)), *notices])

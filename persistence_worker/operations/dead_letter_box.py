"""Inspects and replays dead letters over the bus."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from shared.bus.port import Bus, Delivery, Subscription
from shared.contracts import topology
from shared.contracts.dead_letters import DeadLetter
from shared.contracts.envelope import Event, MalformedEvent, Received, read_body
from shared.contracts.queries import ChatbotsResult, ListChatbots, Reply
from shared.contracts.registry import PAYLOADS
from shared.errors import Unavailable

SOURCE = "persistence_worker dead"
BODIES_MAX = 100  # bodies of one queue that are read; further ones can be read after these are replayed
QUIET = 1.0  # seconds without another letter after which a queue counts as read
REPLAY = replace(topology.DIRECT, persistent=True, mandatory=True)  # routes directly to the original queue


class CannotReplay(Exception):
    """This release cannot parse the event that the letter contains."""


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A dead letter in its queue. `id` identifies it on the command line."""

    id: str
    time: str
    letter: DeadLetter
    delivery: Delivery

    @property
    def types(self) -> list[str]:
        """The types of the events that it contains; empty if they cannot be read."""
        try:
            return [envelope.type for envelope in read_body(self.letter.original())]
        except MalformedEvent:
            return []

    def events(self) -> list[Event]:
        """Return the events to publish again under the same ids, without a reply address: its client does not wait.

        Raises:
            CannotReplay: this release cannot parse them.
        """
        try:
            return [_event(envelope) for envelope in read_body(self.letter.original())]
        except (MalformedEvent, KeyError, ValueError) as error:
            raise CannotReplay(f"{self.id}: {error or type(error).__name__}") from None


class DeadLetterBox:
    """The dead letters of one queue. They are held while the box is open; `close` requeues them in order."""

    def __init__(self, bus: Bus, subscription: Subscription) -> None:
        self._bus = bus
        self._subscription = subscription
        self.letters: list[StoredLetter] = []

    async def read(self) -> None:
        """Take the letters of at most `BODIES_MAX` bodies."""
        taken: list[Delivery] = []
        with suppress(TimeoutError):
            while len(taken) < BODIES_MAX:
                async with asyncio.timeout(QUIET):
                    taken += (await self._subscription.take(BODIES_MAX - len(taken))).deliveries
        self.letters = [letter for delivery in taken for letter in _letters(delivery)]

    async def replay(self, ids: Collection[str] | None) -> tuple[int, list[str]]:
        """Publish letters, all or those with these ids, to their original queues.

        A body is acknowledged only after the bus has confirmed all of its letters, so that a crash repeats a replay but
        loses nothing. Letters in the same body that were not chosen are published again as dead letters.

        Returns:
            The number of replayed letters, and for each letter that cannot be replayed the reason.

        Raises:
            Unavailable: the bus did not confirm a letter. The rest is not replayed; the command can be repeated.
        """
        replayed = 0
        failures: list[str] = []
        for tag in dict.fromkeys(stored.delivery.tag for stored in self.letters):
            body = [stored for stored in self.letters if stored.delivery.tag == tag]
            publications = []
            kept = []
            for stored in body:
                try:
                    events = stored.events() if ids is None or stored.id in ids else None
                except CannotReplay as error:
                    failures.append(str(error))
                    events = None
                if events is None:
                    kept.append((topology.DEAD, stored.letter.queue, Event(SOURCE, stored.letter, id=stored.id)))
                else:
                    publications += [(REPLAY, stored.letter.queue, event) for event in events]
            if publications:
                await self._bus.publish_all([*publications, *kept])
                await self._subscription.ack([body[0].delivery])
                replayed += len(body) - len(kept)
        return replayed, failures

    async def close(self) -> None:
        """Requeue the letters that were not replayed."""
        await self._subscription.close()


async def open_box(bus: Bus, queue: str) -> DeadLetterBox | None:
    """Open and read the dead letters of the queue with this name; `None` if it has no queue for dead letters."""
    dead = topology.dead_queue(topology.Queue(queue, "quorum"))
    if not await bus.exists(dead):
        return None
    box = DeadLetterBox(bus, await bus.subscribe(dead, prefetch=BODIES_MAX))
    await box.read()
    return box


async def queues(bus: Bus, partitions: int) -> tuple[list[str], bool]:
    """Return the names of all queues that may have dead letters, and whether the queues of chatbots are included.

    They are missing if no persistence worker answers which chatbots there are.
    """
    known = [topology.log_queue(number, partitions).name for number in range(partitions)]
    known += [topology.catalogue_queue().name, topology.accounts_queue().name]
    try:
        answer = await bus.request(topology.QUERIES, topology.QUERY_KEY, Event(SOURCE, ListChatbots()))
        chatbots = ChatbotsResult.read(answer.parse(Reply).result).chatbots
    except (Unavailable, ValueError):
        return known, False
    return known + [topology.turn_queue(chatbot.id).name for chatbot in chatbots], True


def lines(letters: Iterable[StoredLetter]) -> list[str]:
    """Return one line for each letter, without content of messages."""
    return [
        f"{stored.id}  {stored.time}  {stored.letter.queue}  {stored.letter.reason}"
        f"  after {stored.letter.attempts} deliveries  {', '.join(stored.types) or 'unreadable'}"
        for stored in letters
    ]


def _letters(delivery: Delivery) -> Sequence[StoredLetter]:
    try:
        return [
            StoredLetter(envelope.id, envelope.time, envelope.parse(DeadLetter), delivery)
            for envelope in read_body(delivery.body)
        ]
    except MalformedEvent:  # not a dead letter of this system: it stays in the queue
        return []


def _event(envelope: Received) -> Event:
    return Event(
        envelope.source,
        envelope.parse(PAYLOADS[envelope.type]),
        subject=envelope.subject,
        id=envelope.id,
        time=envelope.time,
        traceparent=envelope.traceparent,
    )

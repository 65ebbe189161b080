"""Dead letters in a person's hands: looked at, and replayed once what made them poison is mended. Over the bus."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from shared.bus.port import Bus, Delivery, Subscription
from shared.contracts import topology
from shared.contracts.dead import DeadLetter
from shared.contracts.envelope import Event, MalformedEvent, Received, read_body
from shared.contracts.queries import ChatbotsResult, ListChatbots, Reply
from shared.contracts.registry import PAYLOADS
from shared.errors import Unavailable

SOURCE = "persistence_worker dead"
MOST = 100  # bodies of one queue that are looked at; the rest shows when these are gone
QUIET = 1.0  # seconds without another letter after which all are there
AGAIN = replace(topology.DIRECT, persistent=True, mandatory=True)  # straight to the queue that it came from


class CannotReplay(Exception):
    """This release cannot read what the letter keeps."""


@dataclass(frozen=True, slots=True)
class Found:
    """One letter. `id` names it on the command line."""

    id: str
    time: str
    letter: DeadLetter
    delivery: Delivery

    @property
    def types(self) -> list[str]:
        """What it keeps, by type; empty when that cannot be read."""
        try:
            return [received.type for received in read_body(self.letter.original())]
        except MalformedEvent:
            return []

    def events(self) -> list[Event]:
        """What it keeps, to be published once more under the same ids. Whoever waited for an answer is gone.

        Raises:
            CannotReplay: it is no event of this release.
        """
        try:
            return [_event(received) for received in read_body(self.letter.original())]
        except (MalformedEvent, KeyError, ValueError) as error:
            raise CannotReplay(f"{self.id}: {error or type(error).__name__}") from None


class Box:
    """The dead letters of one queue, held while the box is open and handed back, in order, when it is closed."""

    def __init__(self, bus: Bus, subscription: Subscription) -> None:
        self._bus = bus
        self._subscription = subscription
        self.letters: list[Found] = []

    async def read(self) -> None:
        """Take what is there, `MOST` bodies at most."""
        taken: list[Delivery] = []
        with suppress(TimeoutError):
            while len(taken) < MOST:
                async with asyncio.timeout(QUIET):
                    taken += (await self._subscription.take(MOST - len(taken))).deliveries
        self.letters = [found for delivery in taken for found in _found(delivery)]

    async def replay(self, ids: Collection[str] | None) -> tuple[int, list[str]]:
        """Publish letters to the queue they came from, all or those with these ids: how many, and why not the others.

        A body of letters is acked only when the bus holds what it kept, so a crash repeats and never loses.
        Letters that travelled with a chosen one are put back as they were.

        Raises:
            Unavailable: not known to be held; nothing more was done, and it can be done again.
        """
        replayed = 0
        refused: list[str] = []
        for tag in dict.fromkeys(found.delivery.tag for found in self.letters):
            together = [found for found in self.letters if found.delivery.tag == tag]
            publications = []
            kept = []
            for found in together:
                try:
                    events = found.events() if ids is None or found.id in ids else None
                except CannotReplay as error:
                    refused.append(str(error))
                    events = None
                if events is None:
                    kept.append((topology.DEAD, found.letter.queue, Event(SOURCE, found.letter, id=found.id)))
                else:
                    publications += [(AGAIN, found.letter.queue, event) for event in events]
            if publications:
                await self._bus.publish_all([*publications, *kept])
                await self._subscription.ack([together[0].delivery])
                replayed += len(together) - len(kept)
        return replayed, refused

    async def close(self) -> None:
        """Hand back what was not replayed."""
        await self._subscription.close()


async def open_box(bus: Bus, queue: str) -> Box | None:
    """The dead letters of the queue of that name, read; none if nobody has declared a queue for them."""
    dead = topology.dead_queue(topology.Queue(queue, "quorum"))
    if not await bus.exists(dead):
        return None
    box = Box(bus, await bus.subscribe(dead, prefetch=MOST))
    await box.read()
    return box


async def queues(bus: Bus, partitions: int) -> tuple[list[str], bool]:
    """The names of all queues that may have dead letters; whether the chatbots could be asked for."""
    known = [topology.log_queue(number, partitions).name for number in range(partitions)]
    known += [topology.catalogue_queue().name, topology.accounts_queue().name]
    try:
        answer = await bus.request(topology.QUERIES, topology.QUERY_KEY, Event(SOURCE, ListChatbots()))
        chatbots = ChatbotsResult.read(answer.parse(Reply).result).chatbots
    except (Unavailable, ValueError):
        return known, False
    return known + [topology.turn_queue(chatbot.id).name for chatbot in chatbots], True


def lines(letters: Iterable[Found]) -> list[str]:
    """One line a letter, with nothing of what people wrote."""
    return [
        f"{found.id}  {found.time}  {found.letter.queue}  {found.letter.reason}"
        f"  after {found.letter.attempts} deliveries  {', '.join(found.types) or 'unreadable'}"
        for found in letters
    ]


def _found(delivery: Delivery) -> Sequence[Found]:
    try:
        return [
            Found(received.id, received.time, received.parse(DeadLetter), delivery)
            for received in read_body(delivery.body)
        ]
    except MalformedEvent:  # not ours: it stays where it is
        return []


def _event(received: Received) -> Event:
    return Event(
        received.source,
        received.parse(PAYLOADS[received.type]),
        subject=received.subject,
        id=received.id,
        time=datetime.fromisoformat(received.time),
        traceparent=received.traceparent,
    )

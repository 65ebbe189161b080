"""Somebody who chats, whatever program they use: what they have sent and what they have seen."""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from typing import Any

from tests.chaos.job import Job, Person
from tests.chaos.ledger import Ledger

BURST = (1, 1, 1, 2, 3)  # messages sent at once, at random out of these
WORDS = 7  # of a message, besides its number: so many pieces has the echo's reply
OUTBOX_MAX = 20  # unsettled messages over which a person writes no more
START: dict[str, Any] = {"title": "Chaos", "chatbot_ids": ["echo"], "client_request_id": "first"}
# With a title: the first reply gives none, and no number goes into that.


class Author(ABC):
    """One person with one session."""

    def __init__(self, person: Person, job: Job) -> None:
        self.id = person.id
        self.random = random.Random(f"{job.seed}/{person.id}")
        self.ledger = Ledger(job.directory / f"{person.id}.jsonl")
        self.session: str | None = None
        self.sent = self.acked = 0
        self._unseen: set[str] = set()  # message ids accepted, not yet seen stored
        self._asked = 0  # highest number of a stored message of ours
        self._answered = 0  # highest number of one that a reply names
        self._numbers: dict[str, int] = {}
        self._pause = job.pause

    @property
    @abstractmethod
    def pending(self) -> int:
        """Messages not settled."""

    @property
    @abstractmethod
    def connected(self) -> bool:
        """Whether the first device can send."""

    @abstractmethod
    async def chat(self, draining: asyncio.Event) -> None:
        """Connect, and write until told to drain; for ever."""

    @abstractmethod
    async def put(self, key: str, content: str) -> None:
        """Take a message to be sent."""

    @abstractmethod
    def finish(self) -> None:
        """The run is over: note what was still open."""

    @property
    def settled(self) -> bool:
        """Whether everything accepted has been seen stored and answered."""
        return not self._unseen and self._answered >= self._asked

    async def write(self, draining: asyncio.Event) -> None:
        """Write bursts until told to drain."""
        await asyncio.sleep(self.random.uniform(0, self._pause))
        while not draining.is_set():
            if self.session and self.pending < OUTBOX_MAX:
                for _ in range(self.random.choice(BURST)):
                    self.sent += 1
                    words = " ".join(f"{self.random.randrange(10_000)}" for _ in range(WORDS))
                    await self.put(f"k{self.sent}", f"{self.id}/{self.sent} {words}")
            await asyncio.sleep(self.random.expovariate(1 / self._pause))

    def accepted(self, message_id: str) -> None:
        """A message is held by the server."""
        self.acked += 1
        if message_id not in self._numbers:
            self._unseen.add(message_id)

    def stored(self, message: dict[str, Any]) -> None:
        """A stored message was seen, live or in the answer to a join."""
        self._unseen.discard(message["id"])
        self._numbers[message["id"]] = message["seq"]
        if message["sender_type"] == "user":
            self._asked = max(self._asked, message["seq"])
        elif message["reply_to"]:
            self._answered = max(self._answered, self._numbers.get(message["reply_to"], 0))

"""A simulated user with one session: generates the messages and tracks what was acked, stored and answered."""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from typing import Any

from tests.chaos.job import Job, User
from tests.chaos.operation_log import OperationLog
from tests.support.waiting import pause

BURST = (1, 1, 1, 2, 3)  # messages sent at once; drawn at random
WORDS = 7  # per message, after its number; the echo chatbot sends one delta per word
OUTBOX_MAX = 20  # pending messages above which a user sends no more
START: dict[str, Any] = {"title": "Chaos", "chatbot_ids": ["echo"], "client_request_id": "first"}
# With a title, so that the first reply sets none: a title change would use a sequence number.


class SimulatedClient(ABC):
    """One user with one session, for any client library."""

    def __init__(self, user: User, job: Job) -> None:
        self.id = user.id
        self.random = random.Random(f"{job.seed}/{user.id}")
        self.log = OperationLog(job.directory / f"{user.id}.jsonl")
        self.session: str | None = None
        self.sent = self.acked = 0
        self._unseen: set[str] = set()  # ids of acked messages that were not seen stored yet
        self._asked = 0  # highest seq of a stored message of this user
        self._answered = 0  # highest seq that a reply names
        self._numbers: dict[str, int] = {}
        self._pause = job.pause

    @property
    @abstractmethod
    def pending(self) -> int:
        """Messages without a final answer."""

    @property
    @abstractmethod
    def connected(self) -> bool:
        """Whether the first device can send."""

    @abstractmethod
    async def chat(self, draining: asyncio.Event) -> None:
        """Connect and send until `draining` is set; then retry and receive until cancelled."""

    @abstractmethod
    async def put(self, key: str, content: str) -> None:
        """Queue a message for sending."""

    @abstractmethod
    def finish(self) -> None:
        """Record the end of the run for every open connection."""

    @property
    def up_to_date(self) -> bool:
        """Whether every acked message was seen stored and answered."""
        return not self._unseen and self._answered >= self._asked

    async def write(self, draining: asyncio.Event) -> None:
        """Send bursts with random pauses until `draining` is set."""
        await pause(self.random.uniform(0, self._pause), "the clients begin one after another")
        while not draining.is_set():
            if self.session and self.pending < OUTBOX_MAX:
                for _ in range(self.random.choice(BURST)):
                    self.sent += 1
                    words = " ".join(f"{self.random.randrange(10_000)}" for _ in range(WORDS))
                    await self.put(f"k{self.sent}", f"{self.id}/{self.sent} {words}")
            await pause(self.random.expovariate(1 / self._pause), "the rate of the load")

    def accepted(self, message_id: str) -> None:
        """Count a message as acked by the server."""
        self.acked += 1
        if message_id not in self._numbers:
            self._unseen.add(message_id)

    def stored(self, message: dict[str, Any]) -> None:
        """Note that a stored message was received, as an event or in the ack of a join."""
        self._unseen.discard(message["id"])
        self._numbers[message["id"]] = message["seq"]
        if message["sender_type"] == "user":
            self._asked = max(self._asked, message["seq"])
        elif message["reply_to"]:
            self._answered = max(self._answered, self._numbers.get(message["reply_to"], 0))

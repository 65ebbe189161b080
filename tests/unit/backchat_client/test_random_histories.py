"""After random faults and a quiet end, client and server have the same history."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from backchat_client.state.core import Core
from backchat_client.state.outbox import Outgoing
from tests.unit.backchat_client.simulated_server import ERRORS, SimulatedServer

HISTORIES = 400
STEPS = 120
OUTCOMES = ["ok"] * 6 + ["silent", "lost", *ERRORS]


class History:
    """One session, one client that follows it, and everything that can happen to their messages."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.core = Core([], self.random.random)
        self.server = SimulatedServer(self.core)
        self.state = self.core.open("S")
        self.sent: list[str] = []
        self.accepted: list[str] = []
        self.shown: list[dict[str, Any]] = []
        self.cursor = 0
        self.server.connect()

    def play(self) -> None:
        steps: dict[Callable[[], None], int] = {
            self.handle: 12,
            self.deliver: 12,
            self.store: 6,
            self.send: 4,
            self.wait: 4,
            self.edit: 4,
            self.rename: 2,
            self.older: 2,
            self.connect: 4,
            self.server.disconnect: 1,
            self.restart: 1,
        }
        for step in self.random.choices(list(steps), weights=list(steps.values()), k=STEPS):
            step()
            self.server.collect()
            self.check()
        self.end()

    def send(self) -> None:
        self.sent.append(f"c{len(self.sent)}")
        self.core.send(Outgoing("S", self.sent[-1], f"content of {self.sent[-1]}"))

    def handle(self) -> None:
        if self.server.up:
            self.server.handle(self.random.choice(OUTCOMES))

    def deliver(self) -> None:
        if self.server.down:
            self.server.deliver()

    def store(self) -> None:
        if self.server.accepted:
            self.server.store()

    def edit(self) -> None:
        if self.server.messages:
            self.server.edit(self.random.randrange(len(self.server.messages)))

    def rename(self) -> None:
        self.server.rename()

    def wait(self) -> None:
        self.server.now += self.random.uniform(0, 5)
        self.core.tick(self.server.now)

    def older(self) -> None:
        if self.state.has_older:
            self.core.older("S")

    def connect(self) -> None:
        if not self.core.connected:
            self.server.connect()

    def restart(self) -> None:
        """Restart the client; only its outbox survives."""
        self.server.disconnect()
        self.core = self.server.core = Core(list(self.core.outbox), self.random.random)
        self.state = self.core.open("S")
        self.shown.clear()
        self.cursor = 0

    def check(self) -> None:
        """Check that the cursor stays in range, nothing has a gap or a duplicate, and each message is reported once."""
        for notice in self.core.notices():
            payload: Any = notice.payload
            if notice.name == "accepted":
                self.accepted.append(payload["client_message_id"])
            elif notice.name == "message":
                self.shown.append(payload)
        assert len({message["id"] for message in self.shown}) == len(self.shown)
        numbers = [message["updated_seq"] for message in self.shown]
        assert numbers == sorted(numbers)
        cursor = self.state.cursor or 0
        assert self.cursor <= cursor <= self.server.last_seq
        self.cursor = cursor
        seqs = [message["seq"] for message in self.state.messages]
        stored = sorted(message["seq"] for message in self.server.messages.values())
        if self.state.joined and seqs and not self.server.down:  # messages in flight may be missing
            assert seqs == [seq for seq in stored if seqs[0] <= seq <= seqs[-1]]

    def end(self) -> None:
        self.connect()
        self.server.run_to_rest()
        self.check()
        while self.state.has_older:
            self.core.older("S")
            self.server.collect()
            self.server.run_to_rest()
        self.check()
        stored = sorted(self.server.messages.values(), key=lambda message: message["seq"])
        # nothing lost, duplicated or out of order
        assert [message["client_message_id"] for message in stored] == self.sent
        assert self.state.messages == stored
        assert self.state.cursor == self.server.last_seq
        assert self.state.joined
        assert len(self.core.outbox) == 0
        assert sorted(self.accepted) == sorted(self.sent)
        assert self.state.session
        assert self.state.session["title"] == self.server.session["title"]


@pytest.mark.parametrize("block", range(8))
def test_random_faults_lose_and_duplicate_nothing(block: int) -> None:
    """Messages are lost, refused and edited, clients restarted at random; the assertion message has the seed."""
    for seed in range(block * HISTORIES // 8, (block + 1) * HISTORIES // 8):
        try:
            History(seed).play()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}") from error

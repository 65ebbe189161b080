"""What was accepted and is not yet seen to be stored: how far the writers lag, and what may have been rejected unheard.

An ack says that the log holds a message (P1). When the log fills faster than it is worked off, taking more
only takes the writers' time: beyond a few seconds of work new messages are refused. As long as nothing is
worked off at all (the database is away) they are taken, because P7 says so and the log has its own bound.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

from shared.contracts.envelope import Event

KEPT_MAX = 20_000  # messages; beyond it nothing more is remembered
KEPT_CHARACTERS_MAX = 16 * 1024 * 1024
CROWD = 256  # messages; fewer are no backlog, whatever the rate
BACKLOG_MAX = 1.0  # seconds of work
RATE_WINDOW = 0.5  # seconds
FORGOTTEN_AFTER = 30.0  # seconds; sent again after it was stored, a message is never told of


@dataclass(frozen=True, slots=True)
class Waiting:
    """One accepted message, with the log's key."""

    since: float  # monotonic seconds
    key: str
    event: Event
    characters: int


class Accepted:
    """All of this gateway, oldest first."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, Waiting] = OrderedDict()
        self._characters = 0
        self._settled = 0  # since `_mark`
        self._mark = time.monotonic()
        self._rate = 0.0  # settled a second, lately

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, message_id: str, key: str, event: Event, characters: int) -> None:
        """The log holds it, as far as we know."""
        self.settled(message_id)
        if len(self._waiting) < KEPT_MAX and self._characters + characters <= KEPT_CHARACTERS_MAX:
            self._waiting[message_id] = Waiting(time.monotonic(), key, event, characters)
            self._characters += characters

    def settled(self, message_id: str) -> None:
        """It was seen to be stored or rejected."""
        waiting = self._waiting.pop(message_id, None)
        if waiting is not None:
            self._characters -= waiting.characters
            self._settled += 1

    def withdraw(self, message_id: str, event: Event) -> None:
        """The log may not hold it, and its author was told so; with another event since, it stays."""
        waiting = self._waiting.get(message_id)
        if waiting is not None and waiting.event is event:
            del self._waiting[message_id]
            self._characters -= waiting.characters

    def progressing(self) -> bool:
        """Whether the log is being worked off."""
        now = time.monotonic()
        if (passed := now - self._mark) >= RATE_WINDOW:
            lately = self._settled / passed
            self._rate = lately if passed > 4 * RATE_WINDOW else max(lately, (self._rate + lately) / 2)
            self._mark, self._settled = now, 0
            if self._rate >= 1.0:
                self._forget(now - FORGOTTEN_AFTER)
        return self._rate >= 1.0

    def backlogged(self) -> bool:
        """Whether it would take the writers too long to come to a message that is accepted now.

        How fast they are shows only while something waits for them: after a quiet time, or at the start, the rate
        says how little there was to do.
        """
        crowded = len(self._waiting) >= CROWD
        return crowded and self.progressing() and self._saturated() and len(self._waiting) > self._rate * BACKLOG_MAX

    def _saturated(self) -> bool:
        return next(iter(self._waiting.values())).since <= time.monotonic() - RATE_WINDOW

    def before(self, moment: float) -> list[Waiting]:
        """What was accepted before then and is not settled."""
        return [waiting for waiting in self._waiting.values() if waiting.since < moment]

    def _forget(self, before: float) -> None:
        while self._waiting:
            message_id, oldest = next(iter(self._waiting.items()))
            if oldest.since >= before:
                return
            del self._waiting[message_id]
            self._characters -= oldest.characters

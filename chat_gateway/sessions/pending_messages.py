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
BACKLOG_MIN = 256  # messages; fewer are no backlog, whatever the rate
BACKLOG_MAX = 1.0  # seconds of work
RATE_WINDOW = 0.5  # seconds
FORGET_AFTER = 30.0  # seconds; sent again after it was stored, a message is never told of


@dataclass(frozen=True, slots=True)
class PendingMessage:
    """One accepted message, with the log's key."""

    since: float  # monotonic seconds
    key: str
    event: Event
    characters: int


class PendingMessages:
    """All of this gateway, oldest first."""

    def __init__(self) -> None:
        self._messages: OrderedDict[str, PendingMessage] = OrderedDict()
        self._characters = 0
        self._resolved = 0  # since `_mark`
        self._mark = time.monotonic()
        self._rate = 0.0  # settled a second, lately

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, message_id: str, key: str, event: Event, characters: int) -> None:
        """The log holds it, as far as we know."""
        self.resolved(message_id)
        if len(self._messages) < KEPT_MAX and self._characters + characters <= KEPT_CHARACTERS_MAX:
            self._messages[message_id] = PendingMessage(time.monotonic(), key, event, characters)
            self._characters += characters

    def resolved(self, message_id: str) -> None:
        """It was seen to be stored or rejected."""
        message = self._messages.pop(message_id, None)
        if message is not None:
            self._characters -= message.characters
            self._resolved += 1

    def withdraw(self, message_id: str, event: Event) -> None:
        """The log may not hold it, and its author was told so; with another event since, it stays."""
        message = self._messages.get(message_id)
        if message is not None and message.event is event:
            del self._messages[message_id]
            self._characters -= message.characters

    def is_progressing(self) -> bool:
        """Whether the log is being worked off."""
        now = time.monotonic()
        if (passed := now - self._mark) >= RATE_WINDOW:
            lately = self._resolved / passed
            self._rate = lately if passed > 4 * RATE_WINDOW else max(lately, (self._rate + lately) / 2)
            self._mark, self._resolved = now, 0
            if self._rate >= 1.0:
                self._forget(now - FORGET_AFTER)
        return self._rate >= 1.0

    def is_backlogged(self) -> bool:
        """Whether it would take the writers too long to come to a message that is accepted now.

        How fast they are shows only while something waits for them: after a quiet time, or at the start, the rate
        says how little there was to do.
        """
        crowded = len(self._messages) >= BACKLOG_MIN
        return (
            crowded and self.is_progressing() and self._saturated() and len(self._messages) > self._rate * BACKLOG_MAX
        )

    def _saturated(self) -> bool:
        return next(iter(self._messages.values())).since <= time.monotonic() - RATE_WINDOW

    def accepted_before(self, moment: float) -> list[PendingMessage]:
        """What was accepted before then and is not settled."""
        return [message for message in self._messages.values() if message.since < moment]

    def _forget(self, accepted_before: float) -> None:
        while self._messages:
            message_id, oldest = next(iter(self._messages.items()))
            if oldest.since >= accepted_before:
                return
            del self._messages[message_id]
            self._characters -= oldest.characters

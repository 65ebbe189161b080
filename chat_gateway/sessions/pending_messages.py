"""Pending messages: accepted, and not known to be stored or rejected. They show how far persistence lags.

An ack means that the log holds a message (contract P1). If messages are accepted faster than persistence stores them,
new ones are refused once the backlog exceeds `BACKLOG_MAX` seconds of work. While nothing is stored at all, because the
database is down, messages are accepted (contract P7); the log has a separate bound.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import NamedTuple

from shared.contracts.envelope import Event

KEPT_MAX = 20_000  # messages; above it, further ones are not tracked
KEPT_CHARACTERS_MAX = 16 * 1024 * 1024  # of all tracked messages; above it, further ones are not tracked
BACKLOG_MIN = 256  # messages; fewer do not count as a backlog, at any rate
BACKLOG_MAX = 1.0  # seconds of work
RATE_WINDOW = 0.5  # seconds
FORGET_AFTER = 30.0  # seconds; a message that is sent again after it was stored causes no further event


class PendingMessage(NamedTuple):
    """One accepted message: when it arrived (monotonic seconds), and its publication on the log."""

    since: float
    key: str
    event: Event
    characters: int


class PendingMessages:
    """The pending messages of this gateway, oldest first."""

    def __init__(self) -> None:
        self._messages: OrderedDict[str, PendingMessage] = OrderedDict()
        self._characters = 0
        self._resolved = 0  # since `_mark`
        self._mark = time.monotonic()
        self._rate = 0.0  # recently resolved messages per second

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, message_id: str, key: str, event: Event, characters: int, since: float) -> None:
        """Track an accepted message."""
        self.resolved(message_id)
        if len(self._messages) < KEPT_MAX and self._characters + characters <= KEPT_CHARACTERS_MAX:
            self._messages[message_id] = PendingMessage(since, key, event, characters)
            self._characters += characters

    def resolved(self, message_id: str) -> None:
        """Stop tracking a message that was stored or rejected."""
        message = self._messages.pop(message_id, None)
        if message is not None:
            self._characters -= message.characters
            self._resolved += 1

    def withdraw(self, message_id: str, event: Event) -> None:
        """Stop tracking a message whose publication failed, unless it was sent again with another event."""
        message = self._messages.get(message_id)
        if message is not None and message.event is event:
            del self._messages[message_id]
            self._characters -= message.characters

    def is_progressing(self) -> bool:
        """Whether persistence stores messages at the moment."""
        now = time.monotonic()
        if (passed := now - self._mark) >= RATE_WINDOW:
            lately = self._resolved / passed
            self._rate = lately if passed > 4 * RATE_WINDOW else max(lately, (self._rate + lately) / 2)
            self._mark, self._resolved = now, 0
            if self._rate >= 1.0:
                self._forget(now - FORGET_AFTER)
        return self._rate >= 1.0

    def is_backlogged(self) -> bool:
        """Whether a message accepted now would be stored later than `BACKLOG_MAX` seconds from now.

        The rate is meaningful only while persistence is saturated: after an idle period, or at the start, it only shows
        that there was little to store.
        """
        many = len(self._messages) >= BACKLOG_MIN
        return many and self.is_progressing() and self._saturated() and len(self._messages) > self._rate * BACKLOG_MAX

    def _saturated(self) -> bool:
        return next(iter(self._messages.values())).since <= time.monotonic() - RATE_WINDOW

    def accepted_before(self, moment: float) -> list[PendingMessage]:
        """Return the pending messages that were accepted before `moment` (monotonic seconds)."""
        return [message for message in self._messages.values() if message.since < moment]

    def _forget(self, accepted_before: float) -> None:
        while self._messages:
            message_id, oldest = next(iter(self._messages.items()))
            if oldest.since >= accepted_before:
                return
            del self._messages[message_id]
            self._characters -= oldest.characters

"""What a batch has in hand: sessions and their open turns as they were locked, and as commands change them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from shared.contracts.views import ReplyPolicy

Spans = list[list[int]]
"""Numbers as closed ranges, ascending: `[[5, 9], [12, 12]]`. Short however many messages wait."""


def extended(spans: Spans, number: int) -> Spans:
    """The spans with a number above all of theirs added."""
    if spans and spans[-1][1] == number - 1:
        return [*spans[:-1], [spans[-1][0], number]]
    return [*spans, [number, number]]


def holds(spans: Spans, number: int) -> bool:
    """Whether a number is in one of the spans."""
    for first, last in spans:  # noqa: SIM110 - twice as fast as `any`, and asked for every message of a context
        if first <= number <= last:
            return True
    return False


@dataclass(slots=True)
class Turn:
    """A reply that is owed. `asked` is what it answers; `waiting` what arrived meanwhile, for the next one."""

    id: UUID
    session_id: UUID
    chatbot_id: str
    reply_to: UUID
    asked: Spans
    waiting: Spans
    waiting_reply_to: UUID | None
    starts: int  # publications so far
    published_at: datetime
    closed_at: datetime | None = None
    new: bool = False
    changed: bool = False
    traceparent: str | None = None


@dataclass(slots=True)
class SessionState:
    """A locked session."""

    id: UUID
    title: str | None
    owner_id: str
    reply_policy: ReplyPolicy
    rotation: int
    seq: int
    last_seq: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    users: list[str] = field(default_factory=list)
    chatbots: list[str] = field(default_factory=list)
    turns: dict[str, Turn] = field(default_factory=dict)  # open ones, by chatbot
    first_words: str | None = None  # of its first user message, read only where a title is wanted
    new: bool = False
    changed: bool = False

    def next_seq(self, now: datetime) -> int:
        """Take the next number for a change at `now`."""
        self.last_seq += 1
        self.updated_at = max(self.updated_at, now)
        self.changed = True
        return self.last_seq

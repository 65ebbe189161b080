"""What a batch has in hand: sessions and their turns as they were locked, and as commands change them. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from shared.contracts.turns import Summary
from shared.contracts.views import Message, ReplyPolicy

Spans = list[list[int]]
"""Numbers as closed ranges, ascending: `[[5, 9], [12, 12]]`. Short however many messages wait."""


def extended(spans: Spans, number: int) -> Spans:
    """The spans with a number above all of theirs added."""
    if spans and spans[-1][1] == number - 1:
        return [*spans[:-1], [spans[-1][0], number]]
    return [*spans, [number, number]]


def merged(spans: Spans, others: Spans) -> Spans:
    """All numbers of both, ascending."""
    together: Spans = []
    for first, last in sorted([*spans, *others]):
        if together and first <= together[-1][1] + 1:
            together[-1][1] = max(together[-1][1], last)
        else:
            together.append([first, last])
    return together


def holds(spans: Spans, number: int) -> bool:
    """Whether a number is in one of the spans."""
    for first, last in spans:  # noqa: SIM110 - twice as fast as `any`, and asked for every message of a context
        if first <= number <= last:
            return True
    return False


@dataclass(slots=True)
class Turn:
    """A reply that is owed. `asked` is what it answers; `waiting` what arrived meanwhile, for the next one.

    `depth` counts the chatbots that answered chatbots before it. Its context ends before the number `until`.
    `waiting_id` is the next turn's id where somebody has been told it. From `stop_at` on nobody waits for it longer.
    """

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
    depth: int = 0
    until: int | None = None
    waiting_depth: int | None = None
    waiting_id: UUID | None = None
    stop_at: datetime | None = None
    new: bool = False
    traceparent: str | None = None


@dataclass(slots=True)
class SessionState:
    """A locked session. `users` are its members, the longest first; `turns` the open ones, by chatbot."""

    id: UUID
    title: str | None
    titled_by: str | None
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
    turns: dict[str, Turn] = field(default_factory=dict)
    first_words: tuple[str, str] | None = None  # of its first user message, with its author; where a title is wanted
    new: bool = False
    changed: bool = False

    def next_seq(self, now: datetime) -> int:
        """Take the next number for a change at `now`."""
        self.last_seq += 1
        self.updated_at = max(self.updated_at, now)
        self.changed = True
        return self.last_seq


@dataclass(slots=True)
class Invite:
    """A way in, known by the hash of its secret."""

    hash: str
    session_id: UUID
    expires_at: datetime
    max_uses: int | None
    uses: int = 0
    ended: bool = False


class Rating(NamedTuple):
    """What a member thinks of a reply; 0 is no opinion any more."""

    session_id: UUID
    rating: int
    comment: str | None


@dataclass(frozen=True, slots=True)
class History:
    """What a command that looks back has found: messages, and the turns whose replies some of them are.

    `is_last`: an edited message is its author's newest. `more`: the number after which an erasure goes on.
    """

    messages: list[Message] = field(default_factory=list)
    turns: dict[UUID, Turn] = field(default_factory=dict)
    is_last: bool = False
    more: int | None = None


@dataclass(slots=True)
class Loaded:
    """What was read under the locks: sessions by id (missing ones left out) and the session of each known message.

    The rest is filled only where a command needs it: answers of commands applied before (`None`: not kept),
    messages by id, invites by hash, read marks, erased users among those who want in, commands whose summary is
    of what has changed since, and what lies back.
    """

    sessions: dict[UUID, SessionState] = field(default_factory=dict)
    known: dict[UUID, UUID] = field(default_factory=dict)
    applied: dict[str, str | None] = field(default_factory=dict)
    messages: dict[UUID, Message] = field(default_factory=dict)
    invites: dict[str, Invite] = field(default_factory=dict)
    read: dict[tuple[UUID, str], int] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)
    outdated: set[str] = field(default_factory=set)
    history: History = field(default_factory=History)


@dataclass(slots=True)
class Writes:
    """What a batch changes beside the numbers, the new messages and the turns of its sessions."""

    messages: dict[UUID, Message] = field(default_factory=dict)  # stored before this batch
    changed: dict[UUID, int] = field(default_factory=dict)  # by session, the earliest place of what changed in it
    summaries: dict[tuple[UUID, str], Summary] = field(default_factory=dict)  # by session and chatbot
    sessions: set[UUID] = field(default_factory=set)  # owner, policy or deletion
    joined: dict[tuple[UUID, str], datetime] = field(default_factory=dict)
    left: set[tuple[UUID, str]] = field(default_factory=set)
    chatbots: set[UUID] = field(default_factory=set)  # sessions whose list of chatbots changed
    invites: dict[str, Invite] = field(default_factory=dict)  # new or used
    uninvited: set[UUID] = field(default_factory=set)  # sessions whose open invites end
    read: dict[tuple[UUID, str], int] = field(default_factory=dict)
    ratings: dict[tuple[UUID, str], Rating] = field(default_factory=dict)  # by message and user
    forgotten: set[tuple[UUID, str]] = field(default_factory=set)  # whose ratings in a session go
    erased: set[tuple[UUID, str]] = field(default_factory=set)  # of whom nothing is left in a session
    answers: list[tuple[str, UUID, str]] = field(default_factory=list)  # command, session, answer in JSON

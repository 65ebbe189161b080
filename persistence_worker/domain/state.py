"""The state that a transaction locks and changes: sessions, their turns, and what commands refer to. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from shared.contracts.turns import Summary
from shared.contracts.views import Message, ReplyPolicy

Spans = list[list[int]]
"""Sequence numbers as closed ranges, ascending: `[[5, 9], [12, 12]]`. Short for any number of messages."""


def extended(spans: Spans, number: int) -> Spans:
    """Return the spans plus a number that is greater than all of theirs."""
    if spans and spans[-1][1] == number - 1:
        return [*spans[:-1], [spans[-1][0], number]]
    return [*spans, [number, number]]


def merged(spans: Spans, others: Spans) -> Spans:
    """Return all numbers of both, ascending."""
    union: Spans = []
    for first, last in sorted([*spans, *others]):
        if union and first <= union[-1][1] + 1:
            union[-1][1] = max(union[-1][1], last)
        else:
            union.append([first, last])
    return union


def contains(spans: Spans, number: int) -> bool:
    """Whether a number is in one of the spans."""
    for first, last in spans:  # noqa: SIM110 - twice as fast as `any`, and called for every message of a context
        if first <= number <= last:
            return True
    return False


@dataclass(slots=True)
class Turn:
    """A reply that a chatbot owes in a session. A chatbot has at most one open turn in a session."""

    id: UUID  # of the message that the reply becomes
    session_id: UUID
    chatbot_id: str
    reply_to: UUID  # the newest message that the reply answers
    asked: Spans  # numbers of the messages that the reply answers
    waiting: Spans  # numbers of the messages that the next turn answers
    waiting_reply_to: UUID | None
    starts: int  # publications so far
    published_at: datetime
    closed_at: datetime | None = None
    depth: int = 0  # length of the chain of chatbots that answered chatbots before this reply
    until: int | None = None  # the context ends before this number
    waiting_depth: int | None = None
    waiting_id: UUID | None = None  # id of the next turn, where a published message refers to it already
    stop_at: datetime | None = None  # after it the turn is ended as stopped, without text
    new: bool = False  # opened in this transaction
    traceparent: str | None = None


@dataclass(slots=True)
class SessionState:
    """A locked session with its members, chatbots and open turns."""

    id: UUID
    title: str | None
    titled_by: str | None  # the user whose text the title is
    owner_id: str
    reply_policy: ReplyPolicy
    rotation: int  # messages that `round_robin` has assigned so far
    seq: int  # number of the latest change of the session itself
    last_seq: int  # number of the latest change of all
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    users: list[str] = field(default_factory=list)  # members, the longest first
    chatbots: list[str] = field(default_factory=list)
    turns: dict[str, Turn] = field(default_factory=dict)  # open turns by chatbot
    title_source: tuple[str, str] | None = None  # text and author of the first message; loaded if a title is needed
    new: bool = False  # created in this transaction
    changed: bool = False

    def next_seq(self, now: datetime) -> int:
        """Take the next sequence number for a change at `now`."""
        self.last_seq += 1
        self.updated_at = max(self.updated_at, now)
        self.changed = True
        return self.last_seq


@dataclass(slots=True)
class Invite:
    """An invite to a session, identified by the hash of its secret."""

    hash: str
    session_id: UUID
    expires_at: datetime
    max_uses: int | None  # `None`: unlimited
    uses: int = 0
    ended: bool = False


class Rating(NamedTuple):
    """A member's rating of a reply; 0 withdraws it."""

    session_id: UUID
    rating: int
    comment: str | None


class Access(NamedTuple):
    """An access of a service to a session of which it is no member."""

    service: str
    session_id: UUID
    what: str


@dataclass(frozen=True, slots=True)
class History:
    """Older messages of a session that an exclusive command needs, and the turns that some of them answered."""

    messages: list[Message] = field(default_factory=list)
    turns: dict[UUID, Turn] = field(default_factory=dict)
    is_last: bool = False  # of an edited message: it is its author's newest
    more: int | None = None  # of an erasure: the number after which it continues


@dataclass(slots=True)
class Loaded:
    """The state read under the locks. Missing sessions, messages and invites have no entry.

    Fields other than `sessions` and `message_sessions` are loaded only for commands that need them.
    """

    sessions: dict[UUID, SessionState] = field(default_factory=dict)
    message_sessions: dict[UUID, UUID] = field(default_factory=dict)  # session of each stored message
    applied: dict[str, str | None] = field(default_factory=dict)  # answers by command id; `None`: redacted since
    messages: dict[UUID, Message] = field(default_factory=dict)
    invites: dict[str, Invite] = field(default_factory=dict)  # by hash
    read_marks: dict[tuple[UUID, str], int] = field(default_factory=dict)  # by session and user
    erased_users: set[str] = field(default_factory=set)  # of the users who enter a session
    outdated: set[str] = field(default_factory=set)  # ids of commands whose summary covers messages changed since
    history: History = field(default_factory=History)
    depths: dict[UUID, int] = field(default_factory=dict)  # of the turns whose replies a service's message answers


@dataclass(slots=True)
class Writes:
    """Changes of a batch, except new messages, turns, and the sequence numbers of sessions."""

    messages: dict[UUID, Message] = field(default_factory=dict)  # changed; stored by an earlier batch
    first_changed: dict[UUID, int] = field(default_factory=dict)  # by session, the lowest `seq` of a changed message
    summaries: dict[tuple[UUID, str], Summary] = field(default_factory=dict)  # by session and chatbot
    sessions: set[UUID] = field(default_factory=set)  # whose owner, reply policy or deletion changed
    joined: dict[tuple[UUID, str], datetime] = field(default_factory=dict)  # new members, by session and user
    left: set[tuple[UUID, str]] = field(default_factory=set)  # ended memberships
    chatbots: set[UUID] = field(default_factory=set)  # sessions whose list of chatbots changed
    invites: dict[str, Invite] = field(default_factory=dict)  # new or used
    ended_invites: set[UUID] = field(default_factory=set)  # sessions whose open invites end
    read_marks: dict[tuple[UUID, str], int] = field(default_factory=dict)
    ratings: dict[tuple[UUID, str], Rating] = field(default_factory=dict)  # by message and user
    deleted_ratings: set[tuple[UUID, str]] = field(default_factory=set)  # users whose ratings in a session are deleted
    erased_members: set[tuple[UUID, str]] = field(default_factory=set)  # users of whom the session has nothing left
    answers: list[tuple[str, UUID, str]] = field(default_factory=list)  # command id, session id, answer as JSON
    accesses: list[Access] = field(default_factory=list)

"""One session that this gateway serves: its cursor, its members, and the sockets that have joined it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from chat_gateway.domain.cursor import Cursor
from chat_gateway.domain.streamed_replies import StreamedReplies, StreamedReply
from chat_gateway.transport import frames
from chat_gateway.transport.frames import Frame
from shared.errors import NotFound

PENDING_MAX = 1_000  # changes that may wait for one join

# The server event and its payload: `message`, `message_updated` or `session_updated`.
Change = tuple[str, dict[str, Any]]


class Recipient(Protocol):
    """What a session needs of a socket."""

    user_id: str
    joined: set[str]  # the sessions that it receives

    def send(self, frame: Frame) -> None:
        """Queue a frame."""


@dataclass(slots=True, eq=False)
class Subscriber:
    """One socket at one session: joined, joining, or both (joining again).

    `floor` is the newest number that the socket has. While `pending` is a list, a join is under way and
    changes wait there until its ack is queued.
    """

    socket: Recipient
    joined: bool = False
    floor: int = 0
    pending: list[tuple[int, Frame]] | None = None
    overflowed: bool = False
    removed: bool = False  # its user ceased to be a member during the join, before or after what the join has read
    awaiting_snapshot: set[str] = field(default_factory=set)  # replies of which it is owed a snapshot
    join_lock: asyncio.Lock = field(default_factory=asyncio.Lock)  # one join at a time
    joins: int = 0  # joins under way or waiting for their turn

    def begin_join(self) -> None:
        """A join starts: from now on nothing may be missed."""
        self.pending = []
        self.overflowed = self.removed = False

    def offer(self, number: int, frame: Frame) -> None:
        """A change was released."""
        if self.pending is not None:
            if len(self.pending) < PENDING_MAX:
                self.pending.append((number, frame))
                return
            self.overflowed = True
            if self.joined:  # joining again: this join is refused, and the earlier one goes on without a hole
                self.cancel_join()
        if self.joined and number > self.floor:
            self.floor = number
            self.socket.send(frame)

    def cancel_join(self) -> None:
        """The join came to nothing (or was one page of several): as it was before."""
        pending, self.pending = self.pending or [], None
        for number, frame in pending:
            self.offer(number, frame)

    def complete_join(self, last_seq: int, acknowledge: Callable[[], None]) -> None:
        """The join is answered, complete up to `last_seq`: the ack, then what is newer."""
        pending, self.pending = self.pending or [], None
        if self.joined:  # what it was to get as a joined socket still comes before the answer
            for number, frame in pending:
                if number <= last_seq:
                    self.offer(number, frame)
        acknowledge()
        self.joined = True
        self.floor = max(self.floor, last_seq)
        for number, frame in pending:
            self.offer(number, frame)


class ServedSession:
    """In memory from the first need until nobody has needed it for a while."""

    def __init__(self, session_id: UUID, partition: int) -> None:
        self.id = session_id
        self.key = str(session_id)
        self.partition = partition
        self.cursor: Cursor[Change] = Cursor()
        self.members: frozenset[str] = frozenset()
        self._members_since = 0  # the number of the session's change that `members` are as of
        self.subscribers: dict[Recipient, Subscriber] = {}
        self.leases = 0  # events that are at it just now
        self.used_at = 0.0
        self.catching_up = False

    @property
    def loaded(self) -> bool:
        """Whether its members and its number are known."""
        return self.cursor.released is not None

    @property
    def idle(self) -> bool:
        """Whether it may be forgotten."""
        return not self.leases and not self.subscribers and not self.catching_up

    def load(self, session: dict[str, Any]) -> list[Change]:
        """Begin with a snapshot (a `Session`), the first time; what came meanwhile and is newer."""
        if self.loaded:
            return []
        self.members, self._members_since = frozenset(session["users"]), session["seq"]
        return self.cursor.loaded(session["last_seq"])

    def check_current(self, user_id: str, session: dict[str, Any]) -> None:
        """Whether somebody who was a member when `session` was read still is one, as far as is known here.

        Raises:
            NotFound: their membership has ended since.
        """
        if self._members_since > session["seq"] and user_id not in self.members:
            raise NotFound

    def release(self, changes: Iterable[Change]) -> list[Recipient]:
        """Let changes out to the joined sockets, each membership before what follows it; the sockets cut off by it."""
        remove_member: list[Recipient] = []
        for name, payload in changes:
            if name == "session_updated":
                number = payload["seq"]
                remove_member += self.set_members(payload["users"], number)
            else:
                number = payload["updated_seq"]
            if self.subscribers:
                frame = frames.event(name, payload)
                for subscriber in self.subscribers.values():
                    subscriber.offer(number, frame)
        return remove_member

    def set_members(self, users: Iterable[str], number: int) -> list[Recipient]:
        """Who may receive from `number` on; sockets of others receive nothing more, and are returned."""
        self.members, self._members_since = frozenset(users), number
        strangers = [
            socket
            for socket, subscriber in self.subscribers.items()
            if subscriber.joined and socket.user_id not in self.members and number > subscriber.floor
        ]
        for socket in strangers:
            self._unsubscribe(socket)
        return strangers

    def remove_member(self, user_id: str, number: int | None = None) -> bool:
        """A member's sockets receive nothing more; whether any did, or was about to.

        `number` is what ended the membership: whoever has joined since then is a member again.
        """
        own = [
            socket
            for socket, subscriber in self.subscribers.items()
            if socket.user_id == user_id and (number is None or not subscriber.joined or subscriber.floor < number)
        ]
        for socket in own:
            self.subscribers[socket].removed = True
            self._unsubscribe(socket)
        return bool(own)

    def _unsubscribe(self, socket: Recipient) -> None:
        subscriber = self.subscribers[socket]
        subscriber.joined = False
        socket.joined.discard(self.key)
        if not subscriber.joins:
            del self.subscribers[socket]

    def close(self) -> list[Recipient]:
        """The session is served no more; the sockets that received it."""
        joined = self.joined()
        for socket in list(self.subscribers):
            self._unsubscribe(socket)
        self.subscribers.clear()
        return joined

    def joined(self) -> list[Recipient]:
        """The sockets that receive it."""
        return [socket for socket, subscriber in self.subscribers.items() if subscriber.joined]

    def present(self) -> frozenset[str]:
        """The users whose sockets receive it."""
        return frozenset(socket.user_id for socket in self.joined())

    def has_joined(self, socket: Recipient) -> bool:
        """Whether that socket receives it."""
        subscriber = self.subscribers.get(socket)
        return subscriber is not None and subscriber.joined

    def stream(self, reply: StreamedReply, delta: dict[str, Any]) -> None:
        """Pass a delta on; a socket that came in the middle first gets the whole text."""
        frame: Frame | None = None
        for socket, subscriber in self.subscribers.items():
            if not subscriber.joined:
                continue
            if reply.message_id in subscriber.awaiting_snapshot and reply.whole:
                subscriber.awaiting_snapshot.discard(reply.message_id)
                if not delta["snapshot"]:
                    whole = {**delta, "offset": 0, "text": reply.text, "snapshot": True}
                    socket.send(frames.event("message_delta", whole))
                    continue
            if frame is None:
                frame = frames.event("message_delta", delta)
            socket.send(frame)


def describe_active_replies(active: Iterable[dict[str, Any]], replies: StreamedReplies) -> list[dict[str, Any]]:
    """The `active_replies` of a join: open turns, with the text and attempt seen here."""
    found = []
    for join_lock in active:
        reply = replies.find(join_lock["message_id"])
        known = reply is not None and reply.whole
        found.append(
            {
                "message_id": join_lock["message_id"],
                "chatbot_id": join_lock["chatbot_id"],
                "attempt": reply.attempt if reply is not None and known else 0,
                "text": reply.text if reply is not None and known else "",
            }
        )
    return found

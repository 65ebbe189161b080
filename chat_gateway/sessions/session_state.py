"""A served session in memory: its cursor, its members, and the receivers that have joined it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from chat_gateway.domain.cursor import Cursor
from chat_gateway.domain.streamed_replies import NAMES, StreamedReplies, StreamedReply
from chat_gateway.sockets.recipients import Recipient
from chat_gateway.transport import frames
from chat_gateway.transport.frames import Frame
from shared.errors import NotFound

PENDING_MAX = 1_000  # changes buffered during one join
SHOWN_MAX = 64  # texts whose snapshot a stream has received; above it, an older one gets another snapshot

# The server event and its payload: `message`, `message_updated` or `session_updated`.
Change = tuple[str, dict[str, Any]]


@dataclass(slots=True, eq=False)
class Subscriber:
    """One receiver in one session: joined, joining, or both (a repeated join).

    `floor` is the highest number that the receiver was sent. During a join, `pending` is a list that buffers
    changes until the ack is queued. `shown` has the attempts of the texts of which a stream has received a snapshot;
    it is `None` for a socket.
    """

    socket: Recipient
    joined: bool = False
    floor: int = 0
    pending: list[tuple[int, Frame]] | None = None
    overflowed: bool = False
    removed: bool = False  # its user ceased to be a member during the join
    awaiting_snapshot: set[str] = field(default_factory=set)  # texts of unfinished replies that it has not received
    join_lock: asyncio.Lock = field(default_factory=asyncio.Lock)  # held by the join in progress
    joins: int = 0  # joins in progress or waiting for `join_lock`
    shown: dict[str, int] | None = None

    def __post_init__(self) -> None:
        if self.socket.follows is not None:
            self.shown = {}

    def begin_join(self) -> None:
        """Start a join: buffer all changes from now on."""
        self.pending = []
        self.overflowed = self.removed = False

    def offer(self, number: int, frame: Frame) -> None:
        """Send a released change, or buffer it during a join."""
        if self.pending is not None:
            if len(self.pending) < PENDING_MAX:
                self.pending.append((number, frame))
                return
            self.overflowed = True
            if self.joined:  # a repeated join is refused, and the socket continues without a gap
                self.cancel_join()
        if self.joined and number > self.floor:
            self.floor = number
            self.socket.send(frame)

    def note_snapshot(self, reply: StreamedReply) -> None:
        """Note that the whole text is sent."""
        if self.shown is None:
            self.awaiting_snapshot.discard(reply.key)
            return
        if len(self.shown) >= SHOWN_MAX:
            del self.shown[next(iter(self.shown))]
        self.shown[reply.key] = reply.attempt

    def cancel_join(self) -> None:
        """End a join that failed, or that was one page of several: the socket is as before it."""
        pending, self.pending = self.pending or [], None
        for number, frame in pending:
            self.offer(number, frame)

    def complete_join(self, last_seq: int, acknowledge: Callable[[], None]) -> None:
        """Complete a join whose answer contains all changes up to `last_seq`: send the ack, then newer changes."""
        pending, self.pending = self.pending or [], None
        if self.joined:  # in a repeated join, changes up to `last_seq` are still sent before the ack
            for number, frame in pending:
                if number <= last_seq:
                    self.offer(number, frame)
        acknowledge()
        self.joined = True
        self.floor = max(self.floor, last_seq)
        for number, frame in pending:
            self.offer(number, frame)


class ServedSession:
    """A session, kept in memory from its first use until it has been idle for some time."""

    def __init__(self, session_id: UUID, partition: int) -> None:
        self.id = session_id
        self.key = str(session_id)
        self.partition = partition
        self.cursor: Cursor[Change] = Cursor()
        self.members: frozenset[str] = frozenset()
        self._members_since = 0  # the number of the change that set `members`
        self.subscribers: dict[Recipient, Subscriber] = {}
        self.watchers: set[Callable[[], None]] = set()  # called after each change, and when it is no longer served
        self.leases = 0  # events that are using it
        self.used_at = 0.0
        self.catching_up = False

    @property
    def loaded(self) -> bool:
        """Whether its members and its last number are known."""
        return self.cursor.released is not None

    @property
    def idle(self) -> bool:
        """Whether it may be evicted."""
        return not self.leases and not self.subscribers and not self.catching_up

    def load(self, session: dict[str, Any]) -> list[Change]:
        """Start with a snapshot (a `Session`); return the newer changes to release. Later loads do nothing."""
        if self.loaded:
            return []
        self.members, self._members_since = frozenset(session["users"]), session["seq"]
        return self.cursor.loaded(session["last_seq"])

    def check_current(self, user_id: str, session: dict[str, Any]) -> None:
        """Check that the user is still a member after `session` was read, as far as this gateway knows.

        Raises:
            NotFound: the membership has ended since.
        """
        if self._members_since > session["seq"] and user_id not in self.members:
            raise NotFound

    def release(self, changes: Iterable[Change]) -> list[Recipient]:
        """Send changes to the joined sockets in order; return the sockets whose users were removed by a change."""
        removed: list[Recipient] = []
        for name, payload in changes:
            if name == "session_updated":
                number = payload["seq"]
                removed += self.set_members(payload["users"], number)
            else:
                number = payload["updated_seq"]
            if self.subscribers:
                frame = frames.event(name, payload, number)
                for subscriber in self.subscribers.values():
                    subscriber.offer(number, frame)
        self._wake_watchers()
        return removed

    def _wake_watchers(self) -> None:
        for watcher in self.watchers:
            watcher()

    def set_members(self, users: Iterable[str], number: int) -> list[Recipient]:
        """Set the members from `number` on; unsubscribe and return the sockets of other users, except observers."""
        self.members, self._members_since = frozenset(users), number
        removed = [
            socket
            for socket, subscriber in self.subscribers.items()
            if subscriber.joined
            and socket.user_id not in self.members
            and number > subscriber.floor
            and not socket.identity.observes
        ]
        for socket in removed:
            self._unsubscribe(socket)
        return removed

    def remove_member(self, user_id: str, number: int | None = None) -> bool:
        """Unsubscribe the sockets of a former member; return whether any had joined or was joining.

        `number` is that of the change that ended the membership; a socket that has joined after it stays.
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
        """Unsubscribe all sockets; return those that had joined."""
        joined = self.joined()
        for socket in list(self.subscribers):
            self._unsubscribe(socket)
        self.subscribers.clear()
        self._wake_watchers()
        return joined

    def joined(self) -> list[Recipient]:
        """Return the sockets that have joined."""
        return [socket for socket, subscriber in self.subscribers.items() if subscriber.joined]

    def present(self) -> frozenset[str]:
        """Return the users who have joined with a socket of this gateway. A stream shows no user as present."""
        return frozenset(socket.user_id for socket in self.joined() if socket.follows is None)

    def has_joined(self, socket: Recipient) -> bool:
        """Whether a socket has joined."""
        subscriber = self.subscribers.get(socket)
        return subscriber is not None and subscriber.joined

    def stream(self, reply: StreamedReply, delta: dict[str, Any]) -> None:
        """Send a delta; a receiver that has not seen the text from its start is first sent all of it as a snapshot.

        A stream receives nothing of a text of which this gateway has missed a part, until the next snapshot.
        """
        frame: Frame | None = None
        snapshot: Frame | None = None
        key, is_whole = reply.key, reply.whole
        for recipient, subscriber in self.subscribers.items():
            shown = subscriber.shown
            if not subscriber.joined or (shown is not None and not is_whole):
                continue
            lacks_text = key in subscriber.awaiting_snapshot if shown is None else shown.get(key) != reply.attempt
            if lacks_text and is_whole:
                subscriber.note_snapshot(reply)
                if not delta["snapshot"]:
                    whole = {**delta, "offset": 0, "text": reply.text, "snapshot": True}
                    snapshot = snapshot or frames.event(reply.name, whole)
                    recipient.send(snapshot)
                    continue
            if frame is None:
                frame = frames.event(reply.name, delta)
            recipient.send(frame)


def describe_active_replies(active: Iterable[dict[str, Any]], replies: StreamedReplies) -> list[dict[str, Any]]:
    """Return the `active_replies` of a join: the open turns, with what this gateway received of the newest attempt."""
    return [{**turn, **_received(turn["message_id"], replies)} for turn in active]


def _received(message_id: str, replies: StreamedReplies) -> dict[str, Any]:
    texts = {name: reply for name in NAMES if (reply := replies.find(message_id, name)) is not None and reply.whole}
    attempt = max((reply.attempt for reply in texts.values()), default=0)
    newest = {name: reply.text for name, reply in texts.items() if reply.attempt == attempt}
    return {
        "attempt": attempt,
        "text": newest.get("message_delta", ""),
        "reasoning": newest.get("reasoning_delta", ""),
    }

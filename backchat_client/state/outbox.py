"""Messages not settled yet, in order for each session. Pure; the store keeps them over a restart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count

from backchat_client.wire import Message, Payload


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to be sent: it has its id before the first try, and keeps it."""

    session_id: str
    client_message_id: str
    content: str
    reply_to: str | None = None

    @property
    def payload(self) -> Payload:
        """What `send_message` takes."""
        shape = {
            "session_id": self.session_id,
            "content": self.content,
            "client_message_id": self.client_message_id,
        }
        return shape if self.reply_to is None else {**shape, "reply_to": self.reply_to}


class Outbox:
    """In the order sent. A session's lane is its messages; only the first of a lane may be under way.

    Two under way would be stored in the order sent only as long as nothing goes wrong: the first answered
    `unavailable` and sent again, the second would have overtaken it.
    """

    def __init__(self, items: Iterable[Outgoing] = ()) -> None:
        self._places = count()
        self._lanes: dict[str, dict[str, tuple[int, Outgoing]]] = {}
        for item in items:
            self.add(item)

    def __iter__(self) -> Iterator[Outgoing]:
        placed = sorted((entry for lane in self._lanes.values() for entry in lane.values()), key=_place)
        return (item for _, item in placed)

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def add(self, item: Outgoing) -> None:
        """Behind all others; one that is in it already keeps its place and its content."""
        lane = self._lanes.setdefault(item.session_id, {})
        lane.setdefault(item.client_message_id, (next(self._places), item))

    def first(self, session_id: str) -> Outgoing | None:
        """The one whose turn it is in a session."""
        lane = self._lanes.get(session_id)
        return next(iter(lane.values()))[1] if lane else None

    def lanes(self) -> list[str]:
        """The sessions that something waits for, in the order in which their first messages were sent."""
        firsts = sorted((next(iter(lane.values())) for lane in self._lanes.values()), key=_place)
        return [item.session_id for _, item in firsts]

    def settle(self, session_id: str, client_message_id: str) -> Outgoing | None:
        """Take out a message whose outcome is known; None if it is not in it."""
        lane = self._lanes.get(session_id, {})
        entry = lane.pop(client_message_id, None)
        if not lane:
            self._lanes.pop(session_id, None)
        return entry[1] if entry else None

    def receipt(self, message: Message, user_id: str | None) -> Outgoing | None:
        """Take out the one that this stored message is, if it is ours."""
        client_message_id = message["client_message_id"]
        ours = message["sender_type"] == "user" and message["sender_id"] == user_id
        return self.settle(message["session_id"], client_message_id) if ours and client_message_id else None


def _place(entry: tuple[int, Outgoing]) -> int:
    return entry[0]

"""Messages without a known outcome, in order per session. Pure; the store keeps them across restarts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count

from backchat_client.wire import Message, Payload


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to send. Its id is fixed before the first attempt."""

    session_id: str
    client_message_id: str
    content: str
    reply_to: str | None = None

    @property
    def payload(self) -> Payload:
        """The payload of `send_message`."""
        shape = {
            "session_id": self.session_id,
            "content": self.content,
            "client_message_id": self.client_message_id,
        }
        return shape if self.reply_to is None else {**shape, "reply_to": self.reply_to}


class Outbox:
    """All unaccepted messages, with a lane per session. Only the first message of a lane may be active.

    With two active messages, order would be lost when the first is refused with `unavailable` and repeated after the
    second.
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
        """Append a message. If its id is already there, nothing changes."""
        lane = self._lanes.setdefault(item.session_id, {})
        lane.setdefault(item.client_message_id, (next(self._places), item))

    def first(self, session_id: str) -> Outgoing | None:
        """The first message of a session's lane."""
        lane = self._lanes.get(session_id)
        return next(iter(lane.values()))[1] if lane else None

    def lanes(self) -> list[str]:
        """The sessions with messages, in the order of their first messages."""
        firsts = sorted((next(iter(lane.values())) for lane in self._lanes.values()), key=_place)
        return [item.session_id for _, item in firsts]

    def remove(self, session_id: str, client_message_id: str) -> Outgoing | None:
        """Remove and return a message whose outcome is known; None if it is not there."""
        lane = self._lanes.get(session_id, {})
        entry = lane.pop(client_message_id, None)
        if not lane:
            self._lanes.pop(session_id, None)
        return entry[1] if entry else None

    def receipt(self, message: Message, user_id: str | None) -> Outgoing | None:
        """Remove and return the entry of a stored message; None if it is another user's or not there."""
        client_message_id = message["client_message_id"]
        ours = message["sender_type"] == "user" and message["sender_id"] == user_id
        return self.remove(message["session_id"], client_message_id) if ours and client_message_id else None


def _place(entry: tuple[int, Outgoing]) -> int:
    return entry[0]

"""What clients sent, and what became of it as far as they know. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.chaos.ledger import Entry

UNKNOWN = {"unanswered", "unavailable", "internal"}  # outcomes of a try that may have worked


@dataclass(slots=True)
class Try:
    """One `send_message`."""

    socket: str
    place: int  # in the ledger
    t: float
    outcome: str = "unanswered"
    ended: float | None = None


@dataclass(slots=True)
class Sent:
    """One message as its author knows it. `seen`: when any socket had it first."""

    session: str
    key: str
    content: str
    tries: list[Try] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    acked: float | None = None
    seen: float | None = None
    rejected: bool = False

    @property
    def unknown(self) -> bool:
        """Whether nothing is known of it: not acked, and one try may have worked."""
        return self.acked is None and any(each.outcome in UNKNOWN for each in self.tries)


def messages_of(ledger: Iterable[Entry]) -> list[Sent]:
    """The messages that one client sent, with what it learned of them."""
    messages: dict[tuple[str, str], Sent] = {}
    by_id: dict[str, Sent] = {}
    seen: dict[str, float] = {}
    for place, entry in enumerate(ledger):
        what = entry["what"]
        if what == "sent":
            where = (entry["session"], entry["key"])
            message = messages.setdefault(where, Sent(*where, content=entry["content"]))
            message.tries.append(Try(entry["socket"], place, entry["t"]))
        elif what in ("acked", "refused", "unanswered"):
            message = messages[entry["session"], entry["key"]]
            attempt = next(t for t in reversed(message.tries) if t.socket == entry["socket"] and t.ended is None)
            attempt.ended = entry["t"]
            attempt.outcome = entry["code"] if what == "refused" else what
            if what == "acked":
                message.ids.add(entry["message_id"])
                by_id[entry["message_id"]] = message
                message.acked = entry["t"] if message.acked is None else message.acked
        elif what in ("message", "joined"):
            for stored in entry["messages"] if what == "joined" else [entry["message"]]:
                seen.setdefault(stored["id"], entry["t"])
                key = (stored["session_id"], stored["client_message_id"])
                if stored["sender_type"] == "user" and key in messages:
                    by_id[stored["id"]] = messages[key]
        elif what == "rejected" and entry["message_id"] in by_id:
            by_id[entry["message_id"]].rejected = True
    for message_id, message in by_id.items():
        message.seen = seen.get(message_id)
    return list(messages.values())

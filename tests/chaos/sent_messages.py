"""Messages that one client sent, with the outcome of every attempt as the client knows it. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.chaos.operation_log import Entry

UNKNOWN = {"unanswered", "unavailable", "internal"}  # outcomes after which the message may be stored


@dataclass(slots=True)
class Attempt:
    """One `send_message`."""

    socket: str
    place: int  # index in the operation log
    t: float
    outcome: str = "unanswered"
    ended: float | None = None


@dataclass(slots=True)
class SentMessage:
    """One message. `seen` is the time when any socket of the client first received it as stored."""

    session: str
    key: str
    content: str
    attempts: list[Attempt] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    acked: float | None = None
    seen: float | None = None
    rejected: bool = False

    @property
    def unknown(self) -> bool:
        """Whether the outcome is unknown: not acked, and at least one attempt may have been stored."""
        return self.acked is None and any(each.outcome in UNKNOWN for each in self.attempts)


def messages_of(log: Iterable[Entry]) -> list[SentMessage]:
    """Collect the messages of one operation log."""
    messages: dict[tuple[str, str], SentMessage] = {}
    by_id: dict[str, SentMessage] = {}
    seen: dict[str, float] = {}
    for place, entry in enumerate(log):
        what = entry["what"]
        if what == "sent":
            where = (entry["session"], entry["key"])
            message = messages.setdefault(where, SentMessage(*where, content=entry["content"]))
            message.attempts.append(Attempt(entry["socket"], place, entry["t"]))
        elif what in ("acked", "refused", "unanswered"):
            _end_attempt(messages[entry["session"], entry["key"]], entry, by_id)
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


def _end_attempt(message: SentMessage, entry: Entry, by_id: dict[str, SentMessage]) -> None:
    attempt = next(t for t in reversed(message.attempts) if t.socket == entry["socket"] and t.ended is None)
    attempt.ended = entry["t"]
    attempt.outcome = entry["code"] if entry["what"] == "refused" else entry["what"]
    if entry["what"] == "acked":
        message.ids.add(entry["message_id"])
        by_id[entry["message_id"]] = message
        message.acked = entry["t"] if message.acked is None else message.acked

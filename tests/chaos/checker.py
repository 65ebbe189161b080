"""What went wrong in a run, from what users could read alone: their ledgers, and the histories read afterwards. Pure.

An outcome is one of three: acked, refused, unknown (no ack, or `unavailable`/`internal`). Only acked messages must
be there; unknown ones may be. The workload changes nothing but by messages, so a session's numbers are exactly
those of its messages, and every message is live or in a join exactly once on each socket.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.chaos.ledger import Entry
from tests.chaos.live import check_deltas, check_kit, check_live
from tests.chaos.sent import Sent, messages_of

LATE = 10.0  # seconds without any fault, from the ack until somebody sees the message
AFTERMATH = 5.0  # seconds after a fault's repair that do not count as without one
HARMS = {
    "lost": "acked, and neither stored nor rejected",
    "unanswered": "acked, and no reply answers it",
    "misanswered": "answered twice, out of order, or not with its own words",
    "duplicated": "stored twice",
    "reordered": "stored before what was surely sent or accepted earlier",
    "gaps": "numbers of a session's history with a hole, or two of one",
    "false_acks": "acked, then rejected, or acked under another id or content than stored",
    "unexpected": "stored, and nobody sent it",
    "reads_disagree": "two ways to read one history, with different answers",
    "live_differs": "an event that is not what is stored",
    "live_missed": "a number that a joined socket should have got and did not",
    "live_repeated": "a number that a joined socket got again, or after a higher one",
    "late": f"seen only {LATE:g} s or more without any fault after its ack",
    "torn_deltas": "pieces of a reply that do not join to the stored text",
    "kit_wrong": "a client kit that showed or holds something else than the history",
}


@dataclass(frozen=True, slots=True)
class History:
    """A session as read after the run, twice: by pages of `get_messages`, and by `join_chat` from 0 on."""

    pages: Sequence[Mapping[str, Any]]
    joined: Sequence[Mapping[str, Any]]
    last_seq: int


@dataclass(frozen=True, slots=True)
class Run:
    """All that the checker is given. `outages`: start and repair of each fault, on the ledgers' clock."""

    ledgers: Mapping[str, Sequence[Entry]]  # by client
    histories: Mapping[str, History]  # by session
    outages: Sequence[tuple[float, float]]


class Findings:
    """Harms by class, each with a line that says where."""

    def __init__(self) -> None:
        self.harms: dict[str, list[str]] = {name: [] for name in HARMS}
        self.counts: Counter[str] = Counter()

    def add(self, harm: str, where: str) -> None:
        """Note one harm."""
        self.harms[harm].append(where)

    @property
    def harmless(self) -> bool:
        """Whether nothing went wrong."""
        return not any(self.harms.values())


def check(run: Run) -> Findings:
    """Compare what was promised with what is there."""
    findings = Findings()
    for client, ledger in run.ledgers.items():
        sent = messages_of(ledger)
        for session in {entry["session"] for entry in ledger if entry.get("session")}:
            mine = [message for message in sent if message.session == session]
            _check_session(session, mine, run.histories.get(session), findings)
            if history := run.histories.get(session):
                about = [entry for entry in ledger if entry.get("session") == session]
                check_live(client, about, history.pages, findings)
                check_kit(client, about, history.pages, findings)
        check_deltas(client, ledger, findings)
        _check_late(sent, run.outages, findings)
        _count(sent, ledger, findings)
    findings.counts["stored"] = sum(len(history.pages) for history in run.histories.values())
    return findings


def _check_session(session: str, sent: Sequence[Sent], history: History | None, findings: Findings) -> None:
    if history is None:
        for message in sent:
            if message.acked is not None:
                findings.add("lost", f"{session}/{message.key}: the session is gone")
        return
    if list(history.pages) != list(history.joined):
        findings.add("reads_disagree", f"{session}: {len(history.pages)} by pages, {len(history.joined)} by join")
    _check_numbers(session, history, findings)
    by_key: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for stored in history.pages:
        if stored["sender_type"] == "user":
            by_key[stored["client_message_id"]].append(stored)
    for message in sent:
        _check_message(message, by_key.pop(message.key, []), findings)
    for key in by_key:
        findings.add("unexpected", f"{session}/{key}")
    _check_order(session, sent, history, findings)
    _check_replies(session, sent, history, findings)


def _check_numbers(session: str, history: History, findings: Findings) -> None:
    numbers = [message["seq"] for message in history.pages]
    if numbers != list(range(1, len(numbers) + 1)) or history.last_seq != len(numbers):
        holes = sorted(set(range(1, history.last_seq + 1)) - set(numbers))
        findings.add("gaps", f"{session}: last {history.last_seq}, {len(numbers)} messages, holes {holes[:10]}")
    for message_id, times in Counter(message["id"] for message in history.pages).items():
        if times > 1:
            findings.add("duplicated", f"{session}/{message_id}: {times} times")


def _check_message(message: Sent, stored: Sequence[Mapping[str, Any]], findings: Findings) -> None:
    where = f"{message.session}/{message.key}"
    if len({each["id"] for each in stored}) > 1:
        findings.add("duplicated", f"{where}: under {len(stored)} ids")
    if message.acked is None:
        findings.counts["unknown_stored" if stored else "unknown_absent"] += message.unknown
        if stored and not message.unknown:
            findings.add("unexpected", f"{where}: every try was refused for good")
        return
    if message.rejected:
        findings.add("false_acks", f"{where}: rejected")
    elif not stored:
        findings.add("lost", where)
    elif {each["id"] for each in stored} != message.ids or stored[0]["content"] != message.content:
        findings.add("false_acks", f"{where}: acked as {sorted(message.ids)}, stored as {stored[0]['id']}")


def _check_order(session: str, sent: Sequence[Sent], history: History, findings: Findings) -> None:
    """From the newest to the oldest: nothing newer may have been acked before, or sent before on the same socket.

    A message with one try alone was stored by that one; then everything sent later on its socket comes after it.
    """
    by_key = {message.key: message for message in sent}
    earliest_ack = float("inf")
    earliest_place: dict[str, int] = {}
    for stored in reversed(history.pages):
        message = by_key.get(stored["client_message_id"]) if stored["sender_type"] == "user" else None
        if message is None or not message.tries:
            continue
        first = message.tries[0]
        sockets = {each.socket for each in message.tries}
        overtaken = first.place > earliest_place.get(first.socket, first.place) and len(sockets) == 1
        if first.t > earliest_ack or overtaken:
            findings.add("reordered", f"{session}/{message.key}: number {stored['seq']}")
        if message.acked is not None:
            earliest_ack = min(earliest_ack, message.acked)
        if len(message.tries) == 1:
            place = min(first.place, earliest_place.get(first.socket, first.place))
            earliest_place[first.socket] = place


def _check_replies(session: str, sent: Sequence[Sent], history: History, findings: Findings) -> None:
    """Each reply answers, word by word, what waits up to the message that it names."""
    acked = {next(iter(message.ids)) for message in sent if message.ids}
    waiting: list[Mapping[str, Any]] = []
    for message in history.pages:
        if message["sender_type"] == "user":
            waiting.append(message)
            continue
        named = [place for place, each in enumerate(waiting) if each["id"] == message["reply_to"]]
        if not named:
            findings.add("misanswered", f"{session}: reply {message['seq']} to what does not wait")
            continue
        answered, waiting = waiting[: named[0] + 1], waiting[named[0] + 1 :]
        if message["status"] != "complete":
            findings.counts["replies_" + message["status"]] += 1
        elif message["content"] != "\n".join(each["content"] for each in answered):
            findings.add("misanswered", f"{session}: reply {message['seq']} says something else")
    for message in waiting:
        if message["id"] in acked:
            findings.add("unanswered", f"{session}: number {message['seq']}")


def _check_late(sent: Iterable[Sent], outages: Sequence[tuple[float, float]], findings: Findings) -> None:
    for message in sent:
        if message.acked is None or message.seen is None or message.seen - message.acked < LATE:
            continue
        if (calm := _without(outages, message.acked, message.seen)) >= LATE:
            findings.add("late", f"{message.session}/{message.key}: {calm:.1f} s")


def _without(outages: Sequence[tuple[float, float]], start: float, end: float) -> float:
    """Seconds between two times that are in no outage nor in its aftermath; outages are in order."""
    calm, at = 0.0, start
    for began, repaired in outages:
        calm += max(0.0, min(began, end) - at)
        at = max(at, min(repaired + AFTERMATH, end))
    return calm + max(0.0, end - at)


def _count(sent: Sequence[Sent], ledger: Iterable[Entry], findings: Findings) -> None:
    counts = findings.counts
    counts["messages"] += len(sent)
    counts["acked"] += sum(message.acked is not None for message in sent)
    for message in sent:
        for attempt in message.tries:
            counts["tries"] += 1
            counts[f"tries_{attempt.outcome}"] += 1
            quick = attempt.ended is not None and attempt.ended - attempt.t <= 6.0
            counts["tries_answered_in_6s"] += quick and attempt.outcome != "unanswered"
    counts.update(f"entries_{entry['what']}" for entry in ledger)

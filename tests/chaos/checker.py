"""Find anomalies of a run from what users could read: the operation logs, and the histories read afterwards. No I/O.

The outcome of a message is acked, refused or unknown (no ack, or `unavailable`/`internal`). Acked messages must be
stored; unknown ones may be. The workload changes sessions only by messages, so the sequence numbers of a session are
exactly those of its messages, and each socket receives every message exactly once, live or in a join.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.chaos.live_checks import check_deltas, check_kit, check_live
from tests.chaos.operation_log import Entry
from tests.chaos.sent_messages import SentMessage, messages_of

LATE = 10.0  # seconds without a fault, from the ack until the client receives the stored message
AFTERMATH = 5.0  # seconds after the repair of a fault that still count as part of it
ANOMALIES = {
    "lost": "acked, but neither stored nor rejected",
    "unanswered": "acked, but not answered by a reply",
    "misanswered": "answered twice, out of order, or with the wrong text",
    "duplicated": "stored twice",
    "reordered": "stored before a message that was sent or acked earlier",
    "gaps": "history of a session with a missing or repeated sequence number",
    "false_acks": "acked, then rejected, or stored under another id or content than acked",
    "unexpected": "stored, but never sent",
    "reads_disagree": "get_messages and join_chat returned different histories",
    "live_differs": "event whose content is not what is stored",
    "live_missed": "sequence number that a joined socket did not receive",
    "live_repeated": "sequence number that a joined socket received twice, or after a higher one",
    "late": f"received as stored {LATE:g} s or more after its ack, not counting faults",
    "torn_deltas": "deltas of a reply that do not add up to the stored text",
    "kit_wrong": "history shown or held by a client kit that is not the stored one",
}


@dataclass(frozen=True, slots=True)
class History:
    """A session as read after the run: by pages of `get_messages`, and by `join_chat` from 0 on."""

    pages: Sequence[Mapping[str, Any]]
    joined: Sequence[Mapping[str, Any]]
    last_seq: int


@dataclass(frozen=True, slots=True)
class Run:
    """Input of the checker. `outages`: start and repair of each fault, on the clock of the operation logs."""

    operation_logs: Mapping[str, Sequence[Entry]]  # by client
    histories: Mapping[str, History]  # by session
    outages: Sequence[tuple[float, float]]


class Findings:
    """Anomalies by class; each is a line that names the place."""

    def __init__(self) -> None:
        self.anomalies: dict[str, list[str]] = {name: [] for name in ANOMALIES}
        self.counts: Counter[str] = Counter()

    def add(self, anomaly: str, where: str) -> None:
        """Record one anomaly."""
        self.anomalies[anomaly].append(where)

    @property
    def clean(self) -> bool:
        """Whether no anomaly was found."""
        return not any(self.anomalies.values())


def check(run: Run) -> Findings:
    """Compare the operation logs with the histories."""
    findings = Findings()
    for client, log in run.operation_logs.items():
        sent = messages_of(log)
        for session in {entry["session"] for entry in log if entry.get("session")}:
            mine = [message for message in sent if message.session == session]
            _check_session(session, mine, run.histories.get(session), findings)
            if history := run.histories.get(session):
                about = [entry for entry in log if entry.get("session") == session]
                check_live(client, about, history.pages, findings)
                check_kit(client, about, history.pages, findings)
        check_deltas(client, log, findings)
        _check_late(sent, run.outages, findings)
        _count(sent, log, findings)
    findings.counts["stored"] = sum(len(history.pages) for history in run.histories.values())
    return findings


def _check_session(session: str, sent: Sequence[SentMessage], history: History | None, findings: Findings) -> None:
    if history is None:
        for message in sent:
            if message.acked is not None:
                findings.add("lost", f"{session}/{message.key}: the session does not exist")
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


def _check_message(message: SentMessage, stored: Sequence[Mapping[str, Any]], findings: Findings) -> None:
    where = f"{message.session}/{message.key}"
    if len({each["id"] for each in stored}) > 1:
        findings.add("duplicated", f"{where}: under {len(stored)} ids")
    if message.acked is None:
        findings.counts["unknown_stored" if stored else "unknown_absent"] += message.unknown
        if stored and not message.unknown:
            findings.add("unexpected", f"{where}: every attempt was refused permanently")
        return
    if message.rejected:
        findings.add("false_acks", f"{where}: rejected")
    elif not stored:
        findings.add("lost", where)
    elif {each["id"] for each in stored} != message.ids or stored[0]["content"] != message.content:
        findings.add("false_acks", f"{where}: acked as {sorted(message.ids)}, stored as {stored[0]['id']}")


def _check_order(session: str, sent: Sequence[SentMessage], history: History, findings: Findings) -> None:
    """Check each message against all newer ones: none of them was acked before it was sent, or sent before it.

    The order of sends is compared on one socket, and only for messages with a single attempt: that attempt was stored.
    """
    by_key = {message.key: message for message in sent}
    earliest_ack = float("inf")
    earliest_place: dict[str, int] = {}
    for stored in reversed(history.pages):
        message = by_key.get(stored["client_message_id"]) if stored["sender_type"] == "user" else None
        if message is None or not message.attempts:
            continue
        first = message.attempts[0]
        sockets = {each.socket for each in message.attempts}
        overtaken = first.place > earliest_place.get(first.socket, first.place) and len(sockets) == 1
        if first.t > earliest_ack or overtaken:
            findings.add("reordered", f"{session}/{message.key}: number {stored['seq']}")
        if message.acked is not None:
            earliest_ack = min(earliest_ack, message.acked)
        if len(message.attempts) == 1:
            place = min(first.place, earliest_place.get(first.socket, first.place))
            earliest_place[first.socket] = place


def _check_replies(session: str, sent: Sequence[SentMessage], history: History, findings: Findings) -> None:
    """Check that each reply echoes exactly the unanswered messages up to the one that it names."""
    acked = {next(iter(message.ids)) for message in sent if message.ids}
    waiting: list[Mapping[str, Any]] = []
    for message in history.pages:
        if message["sender_type"] == "user":
            waiting.append(message)
            continue
        named = [place for place, each in enumerate(waiting) if each["id"] == message["reply_to"]]
        if not named:
            findings.add("misanswered", f"{session}: reply {message['seq']} to a message that was answered already")
            continue
        answered, waiting = waiting[: named[0] + 1], waiting[named[0] + 1 :]
        if message["status"] != "complete":
            findings.counts["replies_" + message["status"]] += 1
        elif message["content"] != "\n".join(each["content"] for each in answered):
            findings.add("misanswered", f"{session}: reply {message['seq']} has another text")
    for message in waiting:
        if message["id"] in acked:
            findings.add("unanswered", f"{session}: number {message['seq']}")


def _check_late(sent: Iterable[SentMessage], outages: Sequence[tuple[float, float]], findings: Findings) -> None:
    for message in sent:
        if message.acked is None or message.seen is None or message.seen - message.acked < LATE:
            continue
        if (calm := _without(outages, message.acked, message.seen)) >= LATE:
            findings.add("late", f"{message.session}/{message.key}: {calm:.1f} s")


def _without(outages: Sequence[tuple[float, float]], start: float, end: float) -> float:
    """Seconds between two times outside of outages and their aftermath; outages are sorted."""
    calm, at = 0.0, start
    for began, repaired in outages:
        calm += max(0.0, min(began, end) - at)
        at = max(at, min(repaired + AFTERMATH, end))
    return calm + max(0.0, end - at)


def _count(sent: Sequence[SentMessage], log: Iterable[Entry], findings: Findings) -> None:
    counts = findings.counts
    counts["messages"] += len(sent)
    counts["acked"] += sum(message.acked is not None for message in sent)
    for message in sent:
        for attempt in message.attempts:
            counts["attempts"] += 1
            counts[f"attempts_{attempt.outcome}"] += 1
            quick = attempt.ended is not None and attempt.ended - attempt.t <= 6.0
            counts["attempts_answered_in_6s"] += quick and attempt.outcome != "unanswered"
    counts.update(f"entries_{entry['what']}" for entry in log)

"""Check the events that a joined socket received against the stored history. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.chaos.operation_log import Entry


class Report(Protocol):
    """Receiver of findings."""

    counts: Counter[str]

    def add(self, anomaly: str, where: str) -> None:
        """Record one anomaly."""


@dataclass(slots=True)
class JoinedSocket:
    """A joined socket: the next expected sequence number, and the missing ones."""

    next: int
    missing: set[int] = field(default_factory=set)


def check_live(client: str, log: Iterable[Entry], history: Sequence[Mapping[str, Any]], report: Report) -> None:
    """Check that each joined socket received every number once, in order, with the stored content."""
    by_number = {message["updated_seq"]: message for message in history}
    joined: dict[str, JoinedSocket] = {}
    for entry in log:
        what, socket = entry["what"], entry.get("socket", "")
        if what == "created":
            joined[socket] = JoinedSocket(1)
        elif what == "joined":
            _check_page(socket, entry, by_number, report)
            if entry["after"] is None or not entry["has_more"]:
                joined[socket] = JoinedSocket(entry["last_seq"] + 1)
        elif what in ("message", "message_updated", "session_updated"):
            number = entry["seq"] if what == "session_updated" else entry["message"]["updated_seq"]
            if what == "message" and by_number.get(number) != entry["message"]:
                report.add("live_differs", f"{socket}: number {number}")
            if socket in joined:
                _follow(joined[socket], number, socket, report)
        elif what == "closed" and (state := joined.pop(socket, None)):
            last = max(by_number, default=0)
            if entry["final"] and state.next <= last:
                state.missing.update(range(state.next, last + 1))
            if state.missing:
                report.add("live_missed", f"{client} {socket}: {sorted(state.missing)[:10]}")


def _check_page(socket: str, entry: Entry, by_number: Mapping[int, Mapping[str, Any]], report: Report) -> None:
    """Check that a page of a join is exactly what is stored between its two numbers.

    The page of a first load ends at its last number and starts with as many messages as it has.
    """
    after = entry["last_seq"] - len(entry["messages"]) if entry["after"] is None else entry["after"]
    wanted = [by_number[n] for n in range(after + 1, entry["last_seq"] + 1) if n in by_number]
    if entry["messages"] != wanted:
        report.add("live_differs", f"{socket}: join from {entry['after']} to {entry['last_seq']}")


def _follow(state: JoinedSocket, number: int, socket: str, report: Report) -> None:
    if number < state.next:
        state.missing.discard(number)
        report.add("live_repeated", f"{socket}: {number} after {state.next - 1}")
        return
    state.missing.update(range(state.next, number))
    state.next = number + 1


def check_kit(client: str, log: Iterable[Entry], history: Sequence[Mapping[str, Any]], report: Report) -> None:
    """Check that a client kit showed each message once, in order, and holds the stored history at the end."""
    shown: dict[str, list[int]] = {}
    for entry in log:
        if entry["what"] == "shown":
            shown.setdefault(entry["device"], []).append(entry["seq"])
        elif entry["what"] == "held" and entry["messages"] != list(history):
            report.add("kit_wrong", f"{client}: holds {len(entry['messages'])} of {len(history)}")
    for device, numbers in shown.items():
        if numbers != list(range(numbers[0], len(history) + 1)) or (device == "a" and numbers[0] != 1):
            report.add("kit_wrong", f"{client}{device}: showed {len(numbers)} from {numbers[0]} on, of {len(history)}")


@dataclass(slots=True)
class Streaming:
    """Text of a reply so far, assembled by the rules of the contract."""

    attempt: int
    text: str


def check_deltas(client: str, log: Iterable[Entry], report: Report) -> None:
    """Check that the text of a streaming reply is a prefix of the stored text at all times."""
    texts: dict[tuple[str, str], Streaming] = {}
    for entry in log:
        socket = entry.get("socket", "")
        if entry["what"] == "joined":
            for active in entry["active_replies"]:
                if active["attempt"]:
                    texts[socket, active["message_id"]] = Streaming(active["attempt"], active["text"])
        elif entry["what"] == "delta":
            _apply(texts, socket, entry["delta"], report)
        elif entry["what"] == "message":
            message = entry["message"]
            shown = texts.pop((socket, message["id"]), None)
            if shown and message["status"] == "complete" and not message["content"].startswith(shown.text):
                report.add("torn_deltas", f"{client} {socket}: {message['id']}")


def _apply(texts: dict[tuple[str, str], Streaming], socket: str, delta: Mapping[str, Any], report: Report) -> None:
    where = (socket, delta["message_id"])
    now = texts.get(where)
    if delta["snapshot"]:
        if now is None or delta["attempt"] >= now.attempt:
            texts[where] = Streaming(delta["attempt"], delta["text"])
    elif now is None or delta["attempt"] > now.attempt:
        if delta["offset"] == 0:
            texts[where] = Streaming(delta["attempt"], delta["text"])
        else:
            texts[where] = Streaming(delta["attempt"], "")
            report.counts["deltas_skipped"] += 1
    elif delta["attempt"] == now.attempt and delta["offset"] == len(now.text):
        now.text += delta["text"]
    else:
        report.counts["deltas_skipped"] += 1

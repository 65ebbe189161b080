"""How long users waited for service after each fault, from their ledgers. Pure.

For each fault: from its start, or from its repair where nobody can take over before (the only broker or database, the
only auth, a frozen gateway's own sockets), as soon as anybody wants anything of an affected lane, until anybody gets it
there. The slowest lane counts, and seconds in which a later fault was under way do not.
"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from tests.chaos.ledger import Entry
from tests.chaos.sent import Sent

PARTITIONS = 4
LANES = {  # what a fault of a part affects: an operation, and what its lanes are told apart by
    "gateway": (("ack", "homes"),),
    "persistence": (("stored", "partition"),),
    "chatbot": (("answered", "partition"),),
    "auth": (("login", "all"),),
    "edge": (("ack", "homes"), ("login", "all")),
    "embedded": (("ack", "homes"), ("answered", "partition"), ("login", "all")),
    "database": (("stored", "partition"), ("login", "all")),
    "broker": (("ack", "gateway"), ("answered", "partition")),
}
STORES = {"broker", "database"}
FROZEN = {"pause", "stall", "delay", "disconnect"}
ALONE = (
    "edge",
    "embedded",
    "gateway",
    "client-gateway",
    "gateway-broker",
    "auth",
    "auth-database",
)  # nobody takes over while they freeze
TARGETS = {"stores": 15.0, "killed": 5.0, "paused": 10.0}  # seconds at most
MEDIAN_TARGET = 3.0  # seconds


class Operation(NamedTuple):
    """Something that a user wanted, when it began and when it was done: `inf` if it never was."""

    began: float
    done: float
    name: str
    session: str
    gateway: str


@dataclass(frozen=True, slots=True)
class Recovery:
    """One fault's. `seconds` is None if it did not come before the end of the run."""

    kind: str
    group: str
    seconds: float | None


def operations(ledgers: Mapping[str, Sequence[Entry]], sent: Mapping[str, Sequence[Sent]]) -> list[Operation]:
    """Everything that clients wanted."""
    found: list[Operation] = []
    for client, ledger in ledgers.items():
        gateways = {entry["socket"]: entry["gateway"] for entry in ledger if entry["what"] == "opened"}
        replies = _first_replies(ledger)
        for message in sent.get(client, ()):
            session, began = message.session, message.tries[0].t
            for each in message.tries:
                done = each.ended if each.outcome == "acked" else None
                found.append(Operation(each.t, done or math.inf, "ack", session, gateways[each.socket]))
            found.append(Operation(began, message.seen or math.inf, "stored", session, ""))
            answers = [replies[message_id] for message_id in message.ids & replies.keys()]
            found.append(Operation(began, min(answers, default=math.inf), "answered", session, ""))
        found += [Operation(e["began"], e["t"], "login", "", "") for e in ledger if e["what"] == "login"]
    return found


def _first_replies(ledger: Iterable[Entry]) -> dict[str, float]:
    """When the first of the reply to a message was seen: a piece of it, or all."""
    first: dict[str, float] = {}  # by message id of the reply
    found: dict[str, float] = {}
    for entry in ledger:
        if entry["what"] == "delta":
            first.setdefault(entry["delta"]["message_id"], entry["t"])
        elif entry["what"] in ("message", "joined"):
            for message in entry["messages"] if entry["what"] == "joined" else [entry["message"]]:
                if message["sender_type"] == "chatbot":
                    found.setdefault(message["reply_to"], first.get(str(message["id"]), float(entry["t"])))
    return found


def homes(ledgers: Mapping[str, Sequence[Entry]]) -> list[tuple[float, float, str, str]]:
    """When which session's writer was connected to which gateway: (from, to, session, gateway)."""
    found = []
    for ledger in ledgers.values():
        opened: dict[str, Entry] = {}
        for entry in ledger:
            if entry["what"] == "opened":
                opened[entry["socket"]] = entry
            elif entry["what"] == "closed" and entry["session"] and (start := opened.pop(entry["socket"], None)):
                found.append((start["t"], entry["t"], entry["session"], start["gateway"]))
    return found


class Recoveries:
    """Answers how long each fault was felt."""

    def __init__(
        self,
        found: Sequence[Operation],
        connected: Sequence[tuple[float, float, str, str]],
        faults: Sequence[Mapping[str, Any]],
    ) -> None:
        lanes: dict[tuple[str, ...], list[tuple[float, float]]] = defaultdict(list)
        for operation in found:
            for lane in _lanes_of(operation):
                lanes[lane].append((operation.began, operation.done))
        self._lanes = {lane: _soonest(times) for lane, times in lanes.items()}
        self._acks = [operation for operation in found if operation.name == "ack"]
        self._homes = connected
        self._faults = faults

    def of(self, fault: Mapping[str, Any]) -> Recovery | None:
        """The recovery of one fault of the log; None if nobody wanted anything of what it broke."""
        part = _affected(fault["part"])
        base = fault["repair"] if _nothing_before_repair(fault) else fault["start"]
        waits = [self._own(fault, *wait) for name, by in LANES[part] for wait in self._waits(name, by, fault, base)]
        if not waits:
            return None
        group = "stores" if part in STORES else "paused" if fault["action"] in FROZEN else "killed"
        return Recovery(fault["kind"], group, None if math.isinf(max(waits)) else max(waits))

    def _waits(self, name: str, by: str, fault: Mapping[str, Any], base: float) -> Iterable[tuple[float, float]]:
        """On each affected lane: when somebody first wanted something after `base`, and when somebody first got it."""
        if by == "homes":
            at_home = {s for start, end, s, g in self._homes if g == fault["target"] and start <= fault["start"] <= end}
            tries = [o.done for o in self._acks if o.session in at_home and o.began >= base]
            if tries:  # who is cut off wants something all the time
                yield base, min(tries)
            return
        for lane, (began, soonest) in self._lanes.items():
            if lane[:2] == (name, by) and (place := bisect_left(began, base)) < len(began):
                yield base if by == "all" else began[place], soonest[place]  # the prober wants in all the time

    def _own(self, fault: Mapping[str, Any], wanted: float, done: float) -> float:
        """Seconds of the wait, less those in which a later fault was under way."""
        wait = done - wanted
        for each in self._faults:
            if each["start"] > fault["start"]:
                wait -= max(0.0, min(done, each["repair"]) - max(wanted, each["start"]))
        return wait


def _lanes_of(operation: Operation) -> Iterable[tuple[str, ...]]:
    yield operation.name, "all"
    if operation.gateway:
        yield operation.name, "gateway", operation.gateway
    if operation.session:
        yield operation.name, "partition", str(UUID(operation.session).int % PARTITIONS)


def _soonest(times: Iterable[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Beginnings in order, and for each the earliest end of what began then or later."""
    ordered = sorted(times)
    ends = [done for _, done in ordered]
    for place in range(len(ends) - 2, -1, -1):
        ends[place] = min(ends[place], ends[place + 1])
    return [began for began, _ in ordered], ends


def _nothing_before_repair(fault: Mapping[str, Any]) -> bool:
    """Whether nobody can be served until the fault is repaired, however good the system is."""
    part, action = fault["part"], fault["action"]
    return (part in STORES and action != "delay") or (part in ALONE and action in FROZEN)


def _affected(part: str) -> str:
    """Which part's users feel a fault of `part`."""
    if part in LANES:
        return part
    if part == "client-gateway":
        return "gateway"
    if "-" in part:
        return {"gateway": "broker"}.get(part.partition("-")[0], part.partition("-")[0])
    return "broker"  # its nodes, its consumers, its deliveries


def summary(recoveries: Iterable[Recovery | None]) -> dict[str, dict[str, Any]]:
    """A row for each kind of fault: how many, p50 and max in seconds, what never recovered, the target."""
    by_kind: dict[tuple[str, str], list[float | None]] = defaultdict(list)
    for each in filter(None, recoveries):
        by_kind[each.kind, each.group].append(each.seconds)
    rows = {}
    for (kind, group), seconds in sorted(by_kind.items()):
        known = [each for each in seconds if each is not None]
        rows[kind] = {
            "faults": len(seconds),
            "p50": round(statistics.median(known), 2) if known else None,
            "max": round(max(known), 2) if known else None,
            "not_before_the_end": len(seconds) - len(known),
            "target": TARGETS[group],
        }
    return rows


def median(recoveries: Iterable[Recovery | None]) -> float | None:
    """The p50 of all faults, in seconds; what did not recover counts as endless."""
    seconds = [math.inf if each.seconds is None else each.seconds for each in recoveries if each]
    return round(statistics.median(seconds), 2) if seconds else None


def slow(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The kinds of fault whose slowest recovery misses its target."""
    return [kind for kind, row in rows.items() if (row["max"] or 0) > row["target"] or row["not_before_the_end"]]

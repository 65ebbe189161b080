"""Recovery time of each fault: how long users waited for service, computed from the operation logs. No I/O.

The operations of a part are grouped into lanes (one per partition or gateway). The wait on a lane starts with the first
operation that is requested after the start of the fault, and ends when the first of these operations succeeds. It starts
with the repair if no other process can take over before (single broker, database or auth service, sockets of a frozen
gateway). The recovery time is the longest wait of all affected lanes, without seconds in which a later fault was active.
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

from tests.chaos.operation_log import Entry
from tests.chaos.sent_messages import SentMessage

PARTITIONS = 4
LANES = {  # operations that a fault of a part affects, each with the key of its lanes
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
)  # no other process takes over while they are frozen
TARGETS = {"stores": 15.0, "killed": 5.0, "paused": 10.0}  # maximum seconds
MEDIAN_TARGET = 3.0  # seconds


class Operation(NamedTuple):
    """A request of a user: when it began, and when it succeeded (`inf`: never)."""

    began: float
    done: float
    name: str
    session: str
    gateway: str


@dataclass(frozen=True, slots=True)
class Recovery:
    """Recovery of one fault. `seconds` is None if service did not resume before the end of the run."""

    kind: str
    group: str
    seconds: float | None


def operations(
    operation_logs: Mapping[str, Sequence[Entry]], sent: Mapping[str, Sequence[SentMessage]]
) -> list[Operation]:
    """Collect the operations of all clients."""
    found: list[Operation] = []
    for client, log in operation_logs.items():
        gateways = {entry["socket"]: entry["gateway"] for entry in log if entry["what"] == "opened"}
        replies = _first_replies(log)
        for message in sent.get(client, ()):
            session, began = message.session, message.attempts[0].t
            for each in message.attempts:
                done = each.ended if each.outcome == "acked" else None
                found.append(Operation(each.t, done or math.inf, "ack", session, gateways[each.socket]))
            found.append(Operation(began, message.seen or math.inf, "stored", session, ""))
            answers = [replies[message_id] for message_id in message.ids & replies.keys()]
            found.append(Operation(began, min(answers, default=math.inf), "answered", session, ""))
        found += [Operation(e["began"], e["t"], "login", "", "") for e in log if e["what"] == "login"]
    return found


def _first_replies(log: Iterable[Entry]) -> dict[str, float]:
    """Return when the first delta of each reply arrived, or the whole reply, by the message that it answers."""
    first: dict[str, float] = {}  # by message id of the reply
    found: dict[str, float] = {}
    for entry in log:
        if entry["what"] == "delta":
            first.setdefault(entry["delta"]["message_id"], entry["t"])
        elif entry["what"] in ("message", "joined"):
            for message in entry["messages"] if entry["what"] == "joined" else [entry["message"]]:
                if message["sender_type"] == "chatbot":
                    found.setdefault(message["reply_to"], first.get(str(message["id"]), float(entry["t"])))
    return found


def homes(operation_logs: Mapping[str, Sequence[Entry]]) -> list[tuple[float, float, str, str]]:
    """Return the connections of all clients as (from, to, session, gateway)."""
    found = []
    for log in operation_logs.values():
        opened: dict[str, Entry] = {}
        for entry in log:
            if entry["what"] == "opened":
                opened[entry["socket"]] = entry
            elif entry["what"] == "closed" and entry["session"] and (start := opened.pop(entry["socket"], None)):
                found.append((start["t"], entry["t"], entry["session"], start["gateway"]))
    return found


class Recoveries:
    """Computes recovery times."""

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
        """Compute the recovery of one fault; None if no operation was requested on an affected lane."""
        part = _affected(fault["part"])
        base = fault["repair"] if _nothing_before_repair(fault) else fault["start"]
        waits = [self._own(fault, *wait) for name, by in LANES[part] for wait in self._waits(name, by, fault, base)]
        if not waits:
            return None
        group = "stores" if part in STORES else "paused" if fault["action"] in FROZEN else "killed"
        return Recovery(fault["kind"], group, None if math.isinf(max(waits)) else max(waits))

    def _waits(self, name: str, by: str, fault: Mapping[str, Any], base: float) -> Iterable[tuple[float, float]]:
        """Yield the start and end of the wait after `base` on each lane of one kind of operation."""
        if by == "homes":
            at_home = {s for start, end, s, g in self._homes if g == fault["target"] and start <= fault["start"] <= end}
            done = [o.done for o in self._acks if o.session in at_home and o.began >= base]
            if done:  # disconnected clients retry all the time, so their wait starts at once
                yield base, min(done)
            return
        for lane, (began, soonest) in self._lanes.items():
            if lane[:2] == (name, by) and (place := bisect_left(began, base)) < len(began):
                yield base if by == "all" else began[place], soonest[place]  # the login probe requests all the time

    def _own(self, fault: Mapping[str, Any], wanted: float, done: float) -> float:
        """Return the seconds of a wait without those in which a later fault was active."""
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
    """Sort by start, and give each start the earliest end of all operations that began then or later."""
    ordered = sorted(times)
    ends = [done for _, done in ordered]
    for place in range(len(ends) - 2, -1, -1):
        ends[place] = min(ends[place], ends[place + 1])
    return [began for began, _ in ordered], ends


def _nothing_before_repair(fault: Mapping[str, Any]) -> bool:
    """Whether no system could serve these users before the repair."""
    part, action = fault["part"], fault["action"]
    return (part in STORES and action != "delay") or (part in ALONE and action in FROZEN)


def _affected(part: str) -> str:
    """Return the key of `LANES` for a part."""
    if part in LANES:
        return part
    if part == "client-gateway":
        return "gateway"
    if "-" in part:
        return {"gateway": "broker"}.get(part.partition("-")[0], part.partition("-")[0])
    return "broker"  # its nodes, its consumers, its deliveries


def summary(recoveries: Iterable[Recovery | None]) -> dict[str, dict[str, Any]]:
    """Return one row per kind of fault: count, p50 and max in seconds, faults without recovery, target."""
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
    """Return the p50 of all faults in seconds; a fault without recovery counts as infinite."""
    seconds = [math.inf if each.seconds is None else each.seconds for each in recoveries if each]
    return round(statistics.median(seconds), 2) if seconds else None


def slow(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the kinds whose slowest recovery misses its target."""
    return [kind for kind, row in rows.items() if (row["max"] or 0) > row["target"] or row["not_before_the_end"]]

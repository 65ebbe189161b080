"""A recovery time is the longest time that users waited for service."""

from __future__ import annotations

import math
from typing import Any
from uuid import UUID

from tests.chaos.recovery import Operation, Recoveries, Recovery, median, slow, summary

SESSIONS = [str(UUID(int=n)) for n in range(4)]  # one per partition


def fault(action: str, part: str, start: float, repair: float | None = None, target: str = "") -> dict[str, Any]:
    repair = start if repair is None else repair
    return {
        "kind": f"{action} {part}",
        "action": action,
        "part": part,
        "target": target,
        "start": start,
        "repair": repair,
    }


def stored(began: float, done: float, session: str = SESSIONS[0]) -> Operation:
    return Operation(began, done, "stored", session, "")


def login(began: float, done: float) -> Operation:
    return Operation(began, done, "login", "", "")


def recovery(found: list[Operation], log: list[dict[str, Any]], homes: Any = ()) -> float | None:
    answer = Recoveries(found, homes, log).of(log[0])
    assert answer is not None
    return None if answer.seconds is None else round(answer.seconds, 6)


def test_recovery_is_that_of_the_slowest_partition() -> None:
    found = [stored(0, 1), stored(10.5, 10.6, SESSIONS[1]), stored(10.2, 13.2), stored(10.3, 14)]
    assert recovery(found, [fault("kill", "persistence", 10)]) == 3.0


def test_operations_begun_before_the_fault_are_ignored() -> None:
    found = [stored(9.9, 10.1), stored(12.0, 16.5)]
    assert recovery(found, [fault("kill", "persistence", 10)]) == 4.5


def test_success_of_a_later_operation_ends_the_wait() -> None:
    found = [stored(10.2, 30), stored(12, 12.5)]
    assert recovery(found, [fault("kill", "persistence", 10)]) == 2.3


def test_recovery_of_a_single_database_is_measured_from_its_repair() -> None:
    found = [stored(10.2, 19), stored(20.5, 21), login(11, 20.2), login(20.4, 20.9)]
    assert recovery(found, [fault("kill", "database", 10, 20)]) == 0.9


def test_seconds_of_a_later_fault_are_subtracted() -> None:
    log = [fault("kill", "persistence", 10), fault("pause", "database", 12, 16)]
    assert recovery([stored(10, 17.5)], log) == 3.5


def test_no_recovery_differs_from_no_operation() -> None:
    log = [fault("kill", "persistence", 10)]
    assert recovery([stored(10.1, math.inf)], log) is None
    assert Recoveries([stored(9, 9.1)], [], log).of(log[0]) is None, "no operation was requested"


def test_clients_of_a_killed_gateway_wait_until_an_ack_of_another_one() -> None:
    homes = [(0.0, 10.0, SESSIONS[0], "one"), (0.0, 99.0, SESSIONS[1], "two"), (11.0, 99.0, SESSIONS[0], "two")]
    acks = [Operation(10.1, 10.2, "ack", SESSIONS[1], "two"), Operation(11.5, 11.6, "ack", SESSIONS[0], "two")]
    assert recovery(acks, [fault("kill", "gateway", 10, target="one")], homes) == 1.6


def test_summary_has_one_row_per_kind() -> None:
    recoveries: list[Recovery | None] = [Recovery("kill auth", "killed", each) for each in (1.0, 2.0, 6.0)]
    recoveries += [Recovery("kill broker", "stores", 14.0), Recovery("kill database", "stores", None), None]
    rows = summary(recoveries)
    assert rows["kill auth"] == {"faults": 3, "p50": 2.0, "max": 6.0, "not_before_the_end": 0, "target": 5.0}
    assert slow(rows) == ["kill auth", "kill database"]
    assert median(recoveries) == 6.0

"""The checker finds anomalies: a recorded run is clean, and every change of the record is found as the right class."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import artifacts
from tests.chaos.checker import Findings, History, Run, check

RECORDED = Path(__file__).with_name("recorded")  # two users, one with two devices; both gateways were killed once
Message = dict[str, Any]


@pytest.fixture
def run() -> Run:
    """The recorded run without its faults, so that no outage excuses late messages."""
    recorded = artifacts.load(RECORDED)
    return Run(recorded.operation_logs, recorded.histories, [])


def found(run: Run) -> set[str]:
    return {name for name, where in check(run).anomalies.items() if where}


def a_session(run: Run) -> tuple[str, History]:
    return max(run.histories.items(), key=lambda item: len(item[1].pages))


def rewrite(run: Run, change: Callable[[list[Message]], list[Message]]) -> Run:
    """Replace the history of one session, as read in both ways; live events stay."""
    session, history = a_session(run)
    pages = change([dict(message) for message in history.pages])
    changed = History(pages, copy.deepcopy(pages), pages[-1]["seq"])
    return Run(run.operation_logs, {**run.histories, session: changed}, run.outages)


def renumbered(messages: list[Message]) -> list[Message]:
    return [{**message, "seq": n, "updated_seq": n} for n, message in enumerate(messages, 1)]


def pair(messages: list[Message]) -> int:
    """Index of the first of two consecutive messages of a user."""
    return next(
        n
        for n in range(len(messages) - 1)
        if messages[n]["sender_type"] == messages[n + 1]["sender_type"] == "user" and n > 0
    )


def without_live_events(run: Run) -> Run:
    """Remove everything received live, so that only the histories can reveal an anomaly."""
    seen = {"message", "joined", "delta", "created"}
    return Run({c: [e for e in es if e["what"] not in seen] for c, es in run.operation_logs.items()}, run.histories, [])


def test_recorded_run_has_no_anomaly(run: Run) -> None:
    findings = check(run)
    assert {name: where for name, where in findings.anomalies.items() if where} == {}
    assert findings.counts["acked"] > 40
    assert findings.counts["entries_delta"] > 100
    assert findings.counts["stored"] > findings.counts["acked"]


def test_missing_message_is_reported_as_lost(run: Run) -> None:
    def lose(messages: list[Message]) -> list[Message]:
        return renumbered(messages[: (n := pair(messages))] + messages[n + 1 :])

    assert "lost" in found(rewrite(without_live_events(run), lose))
    assert {"lost", "live_differs"} <= found(rewrite(run, lose))


def test_skipped_number_is_reported_as_gap(run: Run) -> None:
    def skip(messages: list[Message]) -> list[Message]:
        return [{**m, "seq": m["seq"] + (n > 3), "updated_seq": m["seq"] + (n > 3)} for n, m in enumerate(messages)]

    assert found(rewrite(without_live_events(run), skip)) == {"gaps"}


def test_message_stored_under_two_ids_is_reported_as_duplicated(run: Run) -> None:
    def double(messages: list[Message]) -> list[Message]:
        n = pair(messages)
        return renumbered([*messages[: n + 1], {**messages[n], "id": "another"}, *messages[n + 1 :]])

    assert "duplicated" in found(rewrite(without_live_events(run), double))


def test_second_reply_to_a_message_is_reported_as_misanswered(run: Run) -> None:
    def double(messages: list[Message]) -> list[Message]:
        reply = next(message for message in messages if message["sender_type"] == "chatbot")
        return renumbered([*messages, {**reply, "id": "another"}])

    assert found(rewrite(without_live_events(run), double)) == {"misanswered"}


def test_missing_reply_is_reported_as_unanswered(run: Run) -> None:
    def drop(messages: list[Message]) -> list[Message]:
        return messages if messages[-1]["sender_type"] == "user" else messages[:-1]

    assert found(rewrite(without_live_events(run), drop)) == {"unanswered"}


def test_swapped_messages_are_reported_as_reordered(run: Run) -> None:
    def swap(messages: list[Message]) -> list[Message]:
        n = pair(messages)
        messages[n], messages[n + 1] = messages[n + 1], messages[n]
        return renumbered(messages)

    assert "reordered" in found(rewrite(without_live_events(run), swap))
    assert {"reordered", "live_differs"} <= found(rewrite(run, swap))


def test_changed_content_is_reported_as_false_ack(run: Run) -> None:
    def change(messages: list[Message]) -> list[Message]:
        messages[pair(messages)]["content"] = "something else"
        return messages

    assert "false_acks" in found(rewrite(without_live_events(run), change))


def test_rejection_after_ack_is_reported_as_false_ack(run: Run) -> None:
    client, log = next((c, list(es)) for c, es in run.operation_logs.items() if any(e["what"] == "acked" for e in es))
    ack = next(entry for entry in log if entry["what"] == "acked")
    log.append({**ack, "what": "rejected", "code": "internal"})
    assert found(Run({**run.operation_logs, client: log}, run.histories, [])) == {"false_acks"}


def test_message_without_sender_is_reported_as_unexpected(run: Run) -> None:
    def add(messages: list[Message]) -> list[Message]:
        extra = {**messages[0], "id": "extra", "client_message_id": "never"}
        return renumbered([*messages, extra])

    assert "unexpected" in found(rewrite(without_live_events(run), add))


def test_different_reads_are_reported(run: Run) -> None:
    session, history = a_session(run)
    shorter = History(history.pages, list(history.joined)[1:], history.last_seq)
    assert found(Run(run.operation_logs, {**run.histories, session: shorter}, [])) == {"reads_disagree"}


def events(run: Run) -> tuple[str, list[dict[str, Any]], list[int]]:
    """A copy of one client's log, and the indexes of the message events of a socket with enough of them."""
    for client, entries in run.operation_logs.items():
        log = copy.deepcopy(list(entries))
        for socket in {entry.get("socket") for entry in log}:
            places = [n for n, e in enumerate(log) if e.get("socket") == socket and e["what"] == "message"]
            if len(places) > 6:
                return client, log, places
    raise AssertionError("the record is too short")


def test_missing_event_of_joined_socket_is_reported(run: Run) -> None:
    client, log, places = events(run)
    del log[places[3]]
    assert found(Run({**run.operation_logs, client: log}, run.histories, [])) == {"live_missed"}


def test_missing_last_event_of_open_socket_is_reported(run: Run) -> None:
    for client, entries in run.operation_logs.items():
        finals = {entry["socket"] for entry in entries if entry["what"] == "closed" and entry["final"]}
        places = [n for n, e in enumerate(entries) if e["what"] == "message" and e["socket"] in finals]
        if places:
            log = list(entries)
            del log[places[-1]]
            assert "live_missed" in found(Run({**run.operation_logs, client: log}, run.histories, []))
            return
    raise AssertionError("no socket was connected at the end")


def test_event_received_twice_is_reported_as_repeated(run: Run) -> None:
    client, log, places = events(run)
    log.insert(places[4] + 1, log[places[3]])
    assert found(Run({**run.operation_logs, client: log}, run.histories, [])) == {"live_repeated"}


def test_event_after_a_higher_number_is_reported_as_repeated(run: Run) -> None:
    client, log, places = events(run)
    log.insert(places[4], log.pop(places[3]))
    assert found(Run({**run.operation_logs, client: log}, run.histories, [])) == {"live_repeated"}


def test_late_message_is_reported_unless_a_fault_explains_it(run: Run) -> None:
    def later(seconds: float, outages: list[tuple[float, float]]) -> Findings:
        operation_logs = copy.deepcopy({client: list(entries) for client, entries in run.operation_logs.items()})
        log = next(entries for entries in operation_logs.values() if any(e["what"] == "acked" for e in entries))
        place = next(n for n, entry in enumerate(log) if entry["what"] == "acked")
        ack = log[place]
        for entry in log[place + 1 :]:
            entry["t"] += seconds
        moved = [(ack["t"] + start, ack["t"] + end) for start, end in outages]
        return check(Run(operation_logs, run.histories, moved))

    assert later(1.0, []).clean
    assert {name for name, where in later(11.0, []).anomalies.items() if where} == {"late"}
    assert later(11.0, [(1.0, 9.0)]).clean, "explained by a fault"
    assert not later(31.0, [(1.0, 9.0)]).clean, "longer than the fault explains"


def test_wrong_delta_is_reported_as_torn(run: Run) -> None:
    client = next(c for c, entries in run.operation_logs.items() if any(e["what"] == "delta" for e in entries))
    log = copy.deepcopy(list(run.operation_logs[client]))
    first = next(e for e in log if e["what"] == "delta" and e["delta"]["offset"] == 0)
    first["delta"]["text"] = first["delta"]["text"].swapcase().replace("0", "1") + "~"
    assert found(Run({**run.operation_logs, client: log}, run.histories, [])) == {"torn_deltas"}


def test_messages_of_missing_session_are_reported_as_lost(run: Run) -> None:
    session, _ = a_session(run)
    rest = {name: history for name, history in run.histories.items() if name != session}
    assert "lost" in found(Run(run.operation_logs, rest, []))


def test_incomplete_last_line_of_operation_log_is_ignored(tmp_path: Path) -> None:
    shutil.copytree(RECORDED, tmp_path / "run")
    log = next((tmp_path / "run" / artifacts.OPERATION_LOGS).glob("*.jsonl"))
    whole = len(artifacts.load(tmp_path / "run").operation_logs[log.stem])
    log.write_bytes(log.read_bytes()[:-5])
    assert len(artifacts.load(tmp_path / "run").operation_logs[log.stem]) == whole - 1

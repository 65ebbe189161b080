"""The checker sees harm: a recorded run is clean, and each single harm done to the record is found, as what it is."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import evidence
from tests.chaos.checker import Findings, History, Run, check

RECORDED = Path(__file__).with_name("recorded")  # two people, one with two devices, both gateways killed once
Message = dict[str, Any]


@pytest.fixture
def run() -> Run:
    """A fresh copy of the recorded run, without its faults: nothing excuses lateness."""
    recorded = evidence.load(RECORDED)
    return Run(recorded.ledgers, recorded.histories, [])


def found(run: Run) -> set[str]:
    return {name for name, where in check(run).harms.items() if where}


def a_session(run: Run) -> tuple[str, History]:
    return max(run.histories.items(), key=lambda item: len(item[1].pages))


def rewrite(run: Run, change: Callable[[list[Message]], list[Message]]) -> Run:
    """The run with another history of one session, however it is read; what was seen live stays."""
    session, history = a_session(run)
    pages = change([dict(message) for message in history.pages])
    changed = History(pages, copy.deepcopy(pages), pages[-1]["seq"])
    return Run(run.ledgers, {**run.histories, session: changed}, run.outages)


def renumbered(messages: list[Message]) -> list[Message]:
    return [{**message, "seq": n, "updated_seq": n} for n, message in enumerate(messages, 1)]


def pair(messages: list[Message]) -> int:
    """The place of two messages of a user in a row, sent on one socket."""
    return next(
        n
        for n in range(len(messages) - 1)
        if messages[n]["sender_type"] == messages[n + 1]["sender_type"] == "user" and n > 0
    )


def blind(run: Run) -> Run:
    """The run without anything seen live: what the histories alone give away."""
    seen = {"message", "joined", "delta", "created"}
    return Run({c: [e for e in es if e["what"] not in seen] for c, es in run.ledgers.items()}, run.histories, [])


def test_a_clean_run_is_clean(run: Run) -> None:
    findings = check(run)
    assert {name: where for name, where in findings.harms.items() if where} == {}
    assert findings.counts["acked"] > 40
    assert findings.counts["entries_delta"] > 100
    assert findings.counts["stored"] > findings.counts["acked"]


def test_a_lost_message(run: Run) -> None:
    def lose(messages: list[Message]) -> list[Message]:
        return renumbered(messages[: (n := pair(messages))] + messages[n + 1 :])

    assert "lost" in found(rewrite(blind(run), lose))
    assert {"lost", "live_differs"} <= found(rewrite(run, lose))


def test_a_hole_in_the_numbers(run: Run) -> None:
    def skip(messages: list[Message]) -> list[Message]:
        return [{**m, "seq": m["seq"] + (n > 3), "updated_seq": m["seq"] + (n > 3)} for n, m in enumerate(messages)]

    assert found(rewrite(blind(run), skip)) == {"gaps"}


def test_a_message_stored_twice(run: Run) -> None:
    def double(messages: list[Message]) -> list[Message]:
        n = pair(messages)
        return renumbered([*messages[: n + 1], {**messages[n], "id": "another"}, *messages[n + 1 :]])

    assert "duplicated" in found(rewrite(blind(run), double))


def test_a_message_answered_twice(run: Run) -> None:
    def double(messages: list[Message]) -> list[Message]:
        reply = next(message for message in messages if message["sender_type"] == "chatbot")
        return renumbered([*messages, {**reply, "id": "another"}])

    assert found(rewrite(blind(run), double)) == {"misanswered"}


def test_a_message_not_answered(run: Run) -> None:
    def drop(messages: list[Message]) -> list[Message]:
        return messages if messages[-1]["sender_type"] == "user" else messages[:-1]

    assert found(rewrite(blind(run), drop)) == {"unanswered"}


def test_two_messages_swapped(run: Run) -> None:
    def swap(messages: list[Message]) -> list[Message]:
        n = pair(messages)
        messages[n], messages[n + 1] = messages[n + 1], messages[n]
        return renumbered(messages)

    assert "reordered" in found(rewrite(blind(run), swap))
    assert {"reordered", "live_differs"} <= found(rewrite(run, swap))


def test_a_message_stored_under_another_content(run: Run) -> None:
    def change(messages: list[Message]) -> list[Message]:
        messages[pair(messages)]["content"] = "something else"
        return messages

    assert "false_acks" in found(rewrite(blind(run), change))


def test_an_acked_message_that_is_rejected(run: Run) -> None:
    client, ledger = next((c, list(es)) for c, es in run.ledgers.items() if any(e["what"] == "acked" for e in es))
    ack = next(entry for entry in ledger if entry["what"] == "acked")
    ledger.append({**ack, "what": "rejected", "code": "internal"})
    assert found(Run({**run.ledgers, client: ledger}, run.histories, [])) == {"false_acks"}


def test_a_message_that_nobody_sent(run: Run) -> None:
    def add(messages: list[Message]) -> list[Message]:
        extra = {**messages[0], "id": "extra", "client_message_id": "never"}
        return renumbered([*messages, extra])

    assert "unexpected" in found(rewrite(blind(run), add))


def test_reads_that_disagree(run: Run) -> None:
    session, history = a_session(run)
    shorter = History(history.pages, list(history.joined)[1:], history.last_seq)
    assert found(Run(run.ledgers, {**run.histories, session: shorter}, [])) == {"reads_disagree"}


def events(run: Run) -> tuple[str, list[dict[str, Any]], list[int]]:
    """A client's ledger and the places of the events of one of its sockets."""
    for client, entries in run.ledgers.items():
        ledger = copy.deepcopy(list(entries))
        for socket in {entry.get("socket") for entry in ledger}:
            places = [n for n, e in enumerate(ledger) if e.get("socket") == socket and e["what"] == "message"]
            if len(places) > 6:
                return client, ledger, places
    raise AssertionError("the record is too short")


def test_an_event_that_a_joined_socket_did_not_get(run: Run) -> None:
    client, ledger, places = events(run)
    del ledger[places[3]]
    assert found(Run({**run.ledgers, client: ledger}, run.histories, [])) == {"live_missed"}


def test_the_last_event_that_an_open_socket_did_not_get(run: Run) -> None:
    for client, entries in run.ledgers.items():
        finals = {entry["socket"] for entry in entries if entry["what"] == "closed" and entry["final"]}
        places = [n for n, e in enumerate(entries) if e["what"] == "message" and e["socket"] in finals]
        if places:
            ledger = list(entries)
            del ledger[places[-1]]
            assert "live_missed" in found(Run({**run.ledgers, client: ledger}, run.histories, []))
            return
    raise AssertionError("nobody was connected at the end")


def test_an_event_that_came_twice(run: Run) -> None:
    client, ledger, places = events(run)
    ledger.insert(places[4] + 1, ledger[places[3]])
    assert found(Run({**run.ledgers, client: ledger}, run.histories, [])) == {"live_repeated"}


def test_an_event_that_came_late(run: Run) -> None:
    client, ledger, places = events(run)
    ledger.insert(places[4], ledger.pop(places[3]))
    assert found(Run({**run.ledgers, client: ledger}, run.histories, [])) == {"live_repeated"}


def test_a_message_that_was_stored_late(run: Run) -> None:
    def later(seconds: float, outages: list[tuple[float, float]]) -> Findings:
        ledgers = copy.deepcopy({client: list(entries) for client, entries in run.ledgers.items()})
        ledger = next(entries for entries in ledgers.values() if any(e["what"] == "acked" for e in entries))
        place = next(n for n, entry in enumerate(ledger) if entry["what"] == "acked")
        ack = ledger[place]
        for entry in ledger[place + 1 :]:
            entry["t"] += seconds
        moved = [(ack["t"] + start, ack["t"] + end) for start, end in outages]
        return check(Run(ledgers, run.histories, moved))

    assert later(1.0, []).harmless
    assert {name for name, where in later(11.0, []).harms.items() if where} == {"late"}
    assert later(11.0, [(1.0, 9.0)]).harmless, "a fault excuses"
    assert not later(31.0, [(1.0, 9.0)]).harmless, "but not for ever"


def test_pieces_that_do_not_join_to_the_reply(run: Run) -> None:
    client = next(c for c, entries in run.ledgers.items() if any(e["what"] == "delta" for e in entries))
    ledger = copy.deepcopy(list(run.ledgers[client]))
    first = next(e for e in ledger if e["what"] == "delta" and e["delta"]["offset"] == 0)
    first["delta"]["text"] = first["delta"]["text"].swapcase().replace("0", "1") + "~"
    assert found(Run({**run.ledgers, client: ledger}, run.histories, [])) == {"torn_deltas"}


def test_an_acked_message_of_a_session_that_is_gone(run: Run) -> None:
    session, _ = a_session(run)
    rest = {name: history for name, history in run.histories.items() if name != session}
    assert "lost" in found(Run(run.ledgers, rest, []))


def test_a_record_that_ends_in_the_middle_of_a_line_can_be_read(tmp_path: Path) -> None:
    shutil.copytree(RECORDED, tmp_path / "run")
    ledger = next((tmp_path / "run" / evidence.LEDGERS).glob("*.jsonl"))
    whole = len(evidence.load(tmp_path / "run").ledgers[ledger.stem])
    ledger.write_bytes(ledger.read_bytes()[:-5])
    assert len(evidence.load(tmp_path / "run").ledgers[ledger.stem]) == whole - 1

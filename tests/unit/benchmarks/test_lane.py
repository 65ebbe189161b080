"""A lane sees every harm that it is there to see: lost, doubled, reordered; and nothing where all is well."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.generator.lane import Lane, Tally, Turn


@pytest.fixture
def lane() -> Lane:
    return Lane("s", tells_stored=True, tally=Tally())


def user(lane: Lane, seq: int, *, message_id: str = "u1") -> dict[str, Any]:
    assert lane.turn
    return {
        "id": message_id,
        "sender_type": "user",
        "updated_seq": seq,
        "client_message_id": lane.turn.client_message_id,
        "reply_to": None,
    }


def reply(seq: int, *, message_id: str = "r1", reply_to: str = "u1") -> dict[str, Any]:
    return {
        "id": message_id,
        "sender_type": "chatbot",
        "updated_seq": seq,
        "client_message_id": None,
        "reply_to": reply_to,
    }


def ack(message_id: str = "u1") -> dict[str, Any]:
    return {"ok": True, "message_id": message_id}


def test_a_turn_ends_when_all_three_have_come(lane: Lane) -> None:
    turn = lane.begin(1.0)
    assert lane.take_message(user(lane, 1), 1.2) is None
    assert lane.take_ack(ack(), 1.3) is None
    assert lane.take_message(reply(2), 1.5) is turn
    assert (turn.acked, turn.stored, turn.replied, turn.ended) == (1.3, 1.2, 1.5, 1.5)
    assert lane.tally == Tally()
    assert (lane.turn, lane.completed) == (None, 1)


def test_the_ack_may_be_last(lane: Lane) -> None:
    turn = lane.begin(1.0)
    lane.take_message(user(lane, 1), 1.2)
    lane.take_message(reply(2), 1.3)
    assert lane.take_ack(ack(), 1.6) is turn
    assert turn.ended == 1.6
    assert lane.tally == Tally()


def test_turn_of_a_system_without_stored_messages_has_two_parts() -> None:
    lane = Lane("s", tells_stored=False, tally=Tally())
    turn = lane.begin(1.0)
    lane.take_message({"id": "r1", "sender_type": "chatbot", "reply_to": "u1"}, 1.1)
    assert lane.take_ack(ack(), 1.2) is turn
    assert lane.tally == Tally()


def test_a_refused_turn_ends_and_is_counted_apart(lane: Lane) -> None:
    turn = lane.begin(1.0)
    assert lane.take_ack({"ok": False, "error": {"code": "unavailable"}}, 1.1) is turn
    assert turn.acked == 0.0
    assert lane.tally == Tally(refused=1)


def test_a_message_that_comes_twice_is_doubled(lane: Lane) -> None:
    lane.begin(1.0)
    lane.take_message(user(lane, 1), 1.1)
    lane.take_message(user(lane, 1), 1.2)
    assert lane.tally == Tally(doubled=1)


def test_a_second_ack_is_doubled(lane: Lane) -> None:
    lane.begin(1.0)
    lane.take_ack(ack(), 1.1)
    lane.take_ack(ack(), 1.2)
    assert lane.tally == Tally(doubled=1)


def test_a_skipped_number_is_lost_unless_a_change_took_it(lane: Lane) -> None:
    lane.begin(1.0)
    lane.take_message(user(lane, 1), 1.1)
    lane.take_change(2)
    lane.take_message(reply(4), 1.2)
    assert lane.tally == Tally(lost=1)


def test_a_reply_before_its_question_is_reordered(lane: Lane) -> None:
    lane.begin(1.0)
    lane.take_message(reply(1), 1.1)
    assert lane.tally == Tally(reordered=1)


def test_a_number_that_descends_is_reordered(lane: Lane) -> None:
    lane.begin(1.0)
    lane.take_message(user(lane, 1), 1.1)
    lane.take_change(2)
    lane.take_change(1)
    assert lane.tally == Tally(reordered=1)


def test_a_reply_to_something_else_is_reordered(lane: Lane) -> None:
    lane.begin(1.0)
    lane.take_ack(ack(), 1.1)
    lane.take_message(user(lane, 1), 1.2)
    lane.take_message(reply(2, reply_to="other"), 1.3)
    assert lane.tally == Tally(reordered=1)


def test_a_message_when_nothing_is_under_way_is_reordered(lane: Lane) -> None:
    lane.take_message(reply(1), 1.1)
    assert lane.tally == Tally(reordered=1)


def test_a_turn_that_never_ends_is_lost(lane: Lane) -> None:
    lane.begin(1.0)
    lane.give_up()
    lane.give_up()
    assert lane.tally == Tally(lost=1)


@pytest.mark.parametrize(
    ("stored", "harm"),
    [
        (["a", "b", "c"], Tally()),
        (["a", "x", "b", "c"], Tally()),  # not acked: unknown, neither success nor harm
        (["a", "c"], Tally(lost=1)),
        (["a", "b", "b", "c"], Tally(doubled=1, reordered=1)),
        (["b", "a", "c"], Tally(reordered=1)),
    ],
)
def test_the_history_is_compared_with_what_was_acked(lane: Lane, stored: list[str], harm: Tally) -> None:
    lane.acked_ids = ["a", "b", "c"]
    lane.compare_history(stored)
    assert lane.tally == harm


def test_when_a_turn_ended_is_when_its_last_part_came() -> None:
    assert Turn(1.0, "c", acked=3.0, stored=5.0, replied=4.0).ended == 5.0

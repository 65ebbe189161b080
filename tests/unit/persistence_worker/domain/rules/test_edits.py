"""`EditMessage`: permissions, and the answers of each chatbot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from persistence_worker.domain.command_batch import CommandBatch
from persistence_worker.domain.state import History, SessionState, Turn
from shared.contracts.commands import EditMessage
from shared.contracts.views import Message
from tests.support.commands import ADA
from tests.unit.persistence_worker.domain.batches import (
    apply,
    asked,
    batch,
    changed,
    message,
    outcome,
    session,
    stored,
    turn,
    unchanged,
)


def edit(edited: Message, content: str = "better", user: str = ADA) -> EditMessage:
    return EditMessage(session_id=edited.session_id, user_id=user, message_id=edited.id, content=content)


def loaded(
    of: SessionState, edited: Message, replies: Sequence[tuple[Message, Turn]] = (), *, is_last: bool = True
) -> CommandBatch:
    """Return a batch with what an edit needs: the message, and the replies that answer it."""
    history = History([reply for reply, _ in replies], {reply.id: found for reply, found in replies}, is_last)
    return batch(of, messages=[edited, *history.messages], history=history)


def reply(of: SessionState, seq: int, chatbot: str, asked: Sequence[Sequence[int]] = ((1, 1),)) -> tuple[Message, Turn]:
    found = message(of, seq, chatbot)
    return found, turn(of, chatbot, is_open=False, id=found.id, asked=[list(span) for span in asked])


def test_edited_message_keeps_its_place_and_takes_a_new_number() -> None:
    one = session(chatbots=(), last_seq=3)
    edited = message(one, 1)
    work = apply(loaded(one, edited), edit(edited))
    assert outcome(work) == {}
    [found] = changed(work)
    assert (found.id, found.seq, found.updated_seq, found.content) == (edited.id, 1, 4, "better")
    assert work.writes.first_changed == {one.id: 1}


def test_edit_without_a_change_takes_no_number() -> None:
    one = session(last_seq=1)
    edited = message(one, 1, content="same")
    assert unchanged(apply(loaded(one, edited), edit(edited, "same")))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"user": "bob"}, "forbidden"),
        ({"sender": "echo"}, "forbidden"),
        ({"is_last": False}, "conflict"),
        ({"user": "eve"}, "not_found"),
    ],
    ids=["of another member", "a reply", "not the last", "not a member"],
)
def test_edit_is_refused(fields: dict[str, Any], code: str) -> None:
    one = session(last_seq=1)
    edited = message(one, 1, fields.get("sender", ADA))
    work = apply(loaded(one, edited, is_last=fields.get("is_last", True)), edit(edited, user=fields.get("user", ADA)))
    assert outcome(work) == code
    assert unchanged(work)


def test_unknown_message_is_not_found() -> None:
    one = session(last_seq=1)
    assert outcome(apply(batch(one), edit(message(one, 1)))) == "not_found"


def test_reply_to_an_edited_message_is_superseded_by_a_new_turn() -> None:
    one = session(last_seq=2)
    edited = message(one, 1)
    old, closed = reply(one, 2, "echo")
    work = apply(loaded(one, edited, [(old, closed)]), edit(edited))
    [start] = work.turn_starts
    assert (start.turn.asked, start.turn.until) == ([[1, 1]], 2)
    assert [(each.id, each.superseded_by) for each in changed(work)] == [(edited.id, None), (old.id, start.turn.id)]


def test_open_turn_is_stored_as_stopped_and_restarted_with_its_waiting_messages() -> None:
    one = session(last_seq=3)
    edited = message(one, 1)
    owed = turn(one)
    owed.waiting, owed.waiting_reply_to = [[2, 3]], edited.id
    work = apply(loaded(one, edited), edit(edited))
    [start] = work.turn_starts
    [stopped] = stored(work)
    assert (stopped.id, stopped.status, stopped.superseded_by) == (owed.id, "stopped", start.turn.id)
    assert [stop.message_id for stop in work.turn_stops] == [owed.id]
    assert (start.turn.asked, start.turn.waiting, start.turn.waiting_reply_to) == ([[1, 1]], [[2, 3]], edited.id)
    assert one.turns == {"echo": start.turn}


def test_busy_chatbot_answers_the_edited_message_with_its_next_turn() -> None:
    one = session(last_seq=3)
    edited = message(one, 1)
    old, closed = reply(one, 2, "echo")
    busy = turn(one, number=3)
    work = apply(loaded(one, edited, [(old, closed)]), edit(edited))
    assert not work.turn_starts
    assert (busy.waiting, busy.waiting_reply_to) == ([[1, 1]], closed.reply_to)
    assert changed(work)[1].superseded_by == busy.waiting_id


def test_new_text_that_mentions_another_chatbot_moves_the_answer_to_it() -> None:
    one = session(chatbots=("echo", "eliza"), last_seq=2)
    edited = message(one, 1)
    old, closed = reply(one, 2, "echo")
    work = apply(loaded(one, edited, [(old, closed)]), edit(edited, "@eliza instead"))
    assert asked(work) == {"eliza": [[1, 1]]}
    assert changed(work)[1].superseded_by == work.turn_starts[0].turn.id


def test_chatbot_that_answered_other_messages_too_answers_them_again() -> None:
    one = session(chatbots=("echo", "eliza"), last_seq=3)
    edited = message(one, 2)
    old, closed = reply(one, 3, "echo", asked=((1, 2),))
    work = apply(loaded(one, edited, [(old, closed)]), edit(edited, "@eliza instead"))
    assert asked(work) == {"eliza": [[2, 2]], "echo": [[1, 2]]}


def test_under_other_policies_the_same_chatbots_answer_again() -> None:
    one = session(chatbots=("echo", "eliza"), reply_policy="all", last_seq=3)
    edited = message(one, 1)
    replies = [reply(one, 2, "echo"), reply(one, 3, "eliza")]
    work = apply(loaded(one, edited, replies), edit(edited, "@eliza only"))
    assert asked(work) == {"echo": [[1, 1]], "eliza": [[1, 1]]}


def test_message_that_no_chatbot_answered_starts_no_turn() -> None:
    one = session(chatbots=("echo", "eliza"), last_seq=1)
    edited = message(one, 1)
    assert not apply(loaded(one, edited), edit(edited, "@eliza")).turn_starts

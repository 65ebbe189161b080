"""`StopReply`, `RateReply` and `RegenerateReply`."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from persistence_worker.domain.rules.replies import STOP_GRACE
from persistence_worker.domain.state import History, SessionState
from shared.contracts.commands import RateReply, RegenerateReply, StopReply
from shared.contracts.payload import Payload
from tests.support.commands import ADA, NOON
from tests.unit.persistence_worker.domain.batches import (
    NOW,
    apply,
    asked,
    batch,
    changed,
    message,
    outcome,
    session,
    turn,
    unchanged,
)


def stop(of: SessionState, message_id: UUID, user: str = ADA) -> StopReply:
    return StopReply(session_id=of.id, user_id=user, message_id=message_id)


def rate(of: SessionState, message_id: UUID, rating: int = 1) -> RateReply:
    return RateReply(session_id=of.id, user_id=ADA, message_id=message_id, rating=rating, comment=None)  # type: ignore[arg-type]


def regenerate(of: SessionState, message_id: UUID) -> RegenerateReply:
    return RegenerateReply(session_id=of.id, user_id=ADA, message_id=message_id)


# --- stop ---


def test_stop_is_stored_with_the_turn_and_published() -> None:
    one = session(last_seq=1)
    owed = turn(one)
    work = apply(batch(one), stop(one, owed.id, "bob"))
    assert outcome(work) == {}
    assert owed.stop_at == NOW + STOP_GRACE
    assert [each.message_id for each in work.turn_stops] == [owed.id]
    assert one.turns == {"echo": owed}


def test_second_stop_does_not_extend_the_grace_period() -> None:
    one = session(last_seq=1)
    owed = turn(one, stop_at=NOON)
    work = apply(batch(one), stop(one, owed.id))
    assert owed.stop_at == NOON
    assert len(work.turn_stops) == 1


def test_stop_of_a_finished_reply_changes_nothing() -> None:
    one = session(last_seq=2)
    reply = message(one, 2, "echo")
    work = apply(batch(one, messages=[reply]), stop(one, reply.id))
    assert outcome(work) == {}
    assert unchanged(work)


def test_stop_of_a_turn_of_the_same_batch_is_not_published() -> None:
    """It is not published itself yet, so no chatbot worker runs it."""
    one = session(last_seq=1)
    owed = turn(one, new=True)
    assert apply(batch(one), stop(one, owed.id)).turn_stops == []


# --- rate ---


def test_later_rating_replaces_the_first_one() -> None:
    one = session(last_seq=2)
    reply = message(one, 2, "echo")
    work = apply(batch(one, messages=[reply]), rate(one, reply.id, 1), rate(one, reply.id, -1))
    assert [each.rating for each in work.writes.ratings.values()] == [-1]
    assert unchanged(work)


# --- regenerate ---


def answered(of: SessionState, seq: int = 2, **more: Any) -> tuple[Any, History]:
    """Return a reply to message 1, and the history that its regeneration needs."""
    reply = message(of, seq, "echo", **more)
    closed = turn(of, number=1, is_open=False, id=reply.id)
    return reply, History(turns={reply.id: closed})


def test_regenerated_reply_is_superseded_and_its_turn_opened_again() -> None:
    one = session(last_seq=6)
    reply, history = answered(one)
    work = apply(batch(one, messages=[reply], history=history), regenerate(one, reply.id))
    new_id = UUID(outcome(work)["message_id"])
    [superseded] = changed(work)
    assert (superseded.id, superseded.superseded_by, superseded.updated_seq) == (reply.id, new_id, 7)
    [start] = work.turn_starts
    assert (start.turn.id, start.turn.asked, start.turn.until) == (new_id, [[1, 1]], reply.seq)
    assert start.turn.reply_to == history.turns[reply.id].reply_to


def test_reply_that_is_superseded_already_answers_with_its_successor() -> None:
    one = session(last_seq=3)
    successor = uuid4()
    reply, history = answered(one, superseded_by=successor)
    work = apply(batch(one, messages=[reply], history=history), regenerate(one, reply.id))
    assert outcome(work)["message_id"] == str(successor)
    assert unchanged(work)


@pytest.mark.parametrize("why", ["open turn", "another turn open", "chatbot removed", "no card", "turn unknown"])
def test_regeneration_is_refused_with_conflict(why: str) -> None:
    one = session(chatbots=() if why == "chatbot removed" else ("echo",), last_seq=2)
    reply, history = answered(one)
    target = reply.id
    if why == "open turn":
        target = turn(one).id
    elif why == "another turn open":
        turn(one, number=2)
    work = batch(
        one,
        chatbots=("eliza",) if why == "no card" else ("echo",),
        messages=[reply],
        history=History() if why == "turn unknown" else history,
    )
    assert outcome(apply(work, regenerate(one, target))) == "conflict"
    assert asked(work) == {}
    assert unchanged(work)


# --- all three ---


@pytest.mark.parametrize("command", [stop, rate, regenerate])
@pytest.mark.parametrize("target", ["user's message", "unknown", "of another session"])
def test_only_replies_of_the_session_are_found(command: Any, target: str) -> None:
    one, other = session(last_seq=1), session(last_seq=1)
    found = {"user's message": message(one, 1), "of another session": message(other, 1, "echo")}.get(target)
    work = apply(batch(one, other, messages=[found] if found else []), command(one, found.id if found else uuid4()))
    assert outcome(work) == "not_found"
    assert unchanged(work)


@pytest.mark.parametrize("command", [stop, rate, regenerate])
@pytest.mark.parametrize("fields", [{"users": ("bob",)}, {"deleted_at": NOON}], ids=["not a member", "deleted"])
def test_sessions_that_are_not_visible_are_not_found(command: Any, fields: dict[str, Any]) -> None:
    one = session(last_seq=2, **fields)
    reply = message(one, 2, "echo")
    payload: Payload = command(one, reply.id)
    assert outcome(apply(batch(one, messages=[reply]), payload)) == "not_found"

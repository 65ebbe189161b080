"""`SendMessage` and `FinishReply`: numbering, duplicates, rejections, reply policies and titles."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from persistence_worker.domain.rules.messages import TOO_LONG, as_stored
from persistence_worker.domain.state import SessionState, Turn
from shared.contracts.commands import FinishReply
from shared.contracts.events import SessionHead, SessionUpdated
from shared.contracts.payload import rfc3339
from shared.contracts.views import ErrorView
from tests.support.commands import ADA, NOON, send
from tests.unit.persistence_worker.domain.batches import (
    NOW,
    apply,
    asked,
    batch,
    events,
    message,
    rejected,
    session,
    stored,
    turn,
    unchanged,
)


def finish(of: Turn, content: str = "hello back", **more: Any) -> FinishReply:
    fields = {"attempt": 1, "status": "complete", "error": None, "created_at": rfc3339(NOON)} | more
    return FinishReply(session_id=of.session_id, message_id=of.id, chatbot_id=of.chatbot_id, content=content, **fields)


# --- send ---


def test_message_takes_the_next_number_and_keeps_its_fields() -> None:
    one = session(last_seq=6)
    command = send(one.id, "hi", "bob", client_message_id="c")
    [found] = stored(apply(batch(one), command))
    assert (found.id, found.seq, found.updated_seq, found.sender_id) == (command.message_id, 7, 7, "bob")
    assert (found.content, found.client_message_id, found.created_at) == ("hi", "c", rfc3339(NOON))
    assert (one.last_seq, one.updated_at) == (7, NOW)


def test_numbers_of_interleaved_sessions_are_separate_and_without_a_gap() -> None:
    one, two = session(chatbots=()), session(chatbots=(), last_seq=10)
    work = apply(batch(one, two), *(send((one, two)[n % 2].id, str(n)) for n in range(6)))
    assert [found.seq for found in stored(work) if found.session_id == one.id] == [1, 2, 3]
    assert [found.seq for found in stored(work) if found.session_id == two.id] == [11, 12, 13]


def test_repeated_message_keeps_its_first_content_and_publishes_the_head() -> None:
    one = session(last_seq=1)
    known = message(one, 1, content="first")
    work = apply(batch(one, messages=[known]), send(one.id, "second", message_id=known.id))
    assert stored(work) == []
    assert [head.last_seq for head in events(work, SessionHead)] == [1]
    assert one.last_seq == 1


def test_message_repeated_within_a_batch_is_stored_once() -> None:
    one = session()
    command = send(one.id)
    work = apply(batch(one), command, command, command)
    assert len(stored(work)) == len(work.turn_starts) == 1


def deleted() -> SessionState:
    return session(deleted_at=NOON)


@pytest.mark.parametrize("state", [None, session, deleted], ids=["missing", "not a member", "deleted"])
def test_message_that_may_not_be_stored_is_rejected_as_not_found(state: Any) -> None:
    """A client cannot distinguish the three cases."""
    one = state() if state else session()
    author = "eve" if state is session else ADA
    command = send(one.id, user=author)
    work = apply(batch(*([one] if state else [])), command)
    assert rejected(work) == [(command.message_id, "not_found")]
    assert stored(work) == []
    assert not work.turn_starts
    assert not work.answers


def test_reply_to_is_kept_only_for_a_message_of_the_session() -> None:
    one, other = session(last_seq=1), session(last_seq=1)
    own, foreign = message(one, 1), message(other, 1)
    work = apply(
        batch(one, other, messages=[own, foreign]),
        first := send(one.id, reply_to=own.id),
        send(one.id, reply_to=first.message_id),
        send(one.id, reply_to=foreign.id),
        send(one.id, reply_to=uuid4()),
    )
    assert [found.reply_to for found in stored(work)] == [own.id, first.message_id, None, None]


@pytest.mark.parametrize(
    ("policy", "content", "chatbots"),
    [
        ("mentioned", "hello", {"echo"}),
        ("mentioned", "hello @eliza and @third", {"eliza", "third"}),
        ("all", "hello", {"echo", "eliza", "third"}),
        ("round_robin", "hello @echo", {"eliza"}),
        ("silent", "hello @echo", set()),
    ],
)
def test_reply_policy_decides_which_chatbots_answer(policy: str, content: str, chatbots: set[str]) -> None:
    one = session(chatbots=("echo", "eliza", "third"), reply_policy=policy, rotation=1)
    work = apply(batch(one), send(one.id, content))
    assert set(asked(work)) == chatbots
    assert one.rotation == (2 if policy == "round_robin" else 1)


def test_silent_reply_is_answered_by_no_other_chatbot() -> None:
    """It is stored as complete, and ends its turn."""
    one = session(chatbots=("echo", "eliza"), reply_policy="all", last_seq=1)
    [found] = stored(work := apply(batch(one), finish(turn(one), "")))
    assert (found.status, found.content) == ("complete", "")
    assert (work.turn_starts, one.turns) == ([], {})


def test_round_robin_assigns_one_message_after_another() -> None:
    one = session(chatbots=("echo", "eliza"), reply_policy="round_robin")
    work = apply(batch(one), *(send(one.id, str(n)) for n in range(3)))
    assert asked(work) == {"echo": [[1, 1], [3, 3]], "eliza": [[2, 2]]}


def test_messages_of_one_batch_are_answered_by_one_turn() -> None:
    one = session()
    work = apply(batch(one), send(one.id), send(one.id), last := send(one.id))
    [start] = work.turn_starts
    assert (start.turn.asked, start.turn.reply_to, start.republished) == ([[1, 3]], last.message_id, False)


def test_message_during_a_published_turn_waits_for_the_next_one() -> None:
    one = session(last_seq=1)
    published = turn(one)
    work = apply(batch(one), command := send(one.id))
    assert not work.turn_starts
    assert (published.waiting, published.waiting_reply_to) == ([[2, 2]], command.message_id)
    assert list(work.changed_turns.values()) == [published]


# --- finish ---


def test_reply_is_stored_under_the_id_of_its_turn_and_closes_it() -> None:
    one = session(last_seq=1)
    owed = turn(one)
    work = apply(batch(one), finish(owed))
    [reply] = stored(work)
    assert (reply.id, reply.seq, reply.sender_type, reply.sender_id) == (owed.id, 2, "chatbot", "echo")
    assert (reply.reply_to, reply.status) == (owed.reply_to, "complete")
    assert one.turns == {}
    assert owed.closed_at == NOW


def test_second_reply_of_a_turn_changes_nothing() -> None:
    one = session(last_seq=1)
    owed = turn(one)
    work = apply(batch(one), finish(owed, "first"), finish(owed, "second"))
    assert [reply.content for reply in stored(work)] == ["first"]


@pytest.mark.parametrize("where", ["missing session", "other turn open", "no turn open"])
def test_reply_without_an_open_turn_is_dropped(where: str) -> None:
    one = session(last_seq=1)
    late = turn(one, is_open=False)
    if where == "other turn open":
        turn(one)
    work = apply(batch(*([] if where == "missing session" else [one])), finish(late))
    assert stored(work) == []


def test_waiting_messages_are_answered_by_a_new_turn() -> None:
    one = session(last_seq=3)
    owed = turn(one)
    newest = uuid4()
    owed.waiting, owed.waiting_reply_to = [[2, 3]], newest
    work = apply(batch(one), finish(owed))
    [start] = work.turn_starts
    assert (start.turn.asked, start.turn.reply_to) == ([[2, 3]], newest)
    assert start.turn.id != owed.id


def test_complete_reply_that_mentions_a_chatbot_is_answered_by_it() -> None:
    one = session(chatbots=("echo", "eliza"), last_seq=1)
    work = apply(batch(one), finish(turn(one), "ask @eliza, not @echo"))
    [start] = work.turn_starts
    assert (start.turn.chatbot_id, start.turn.depth, start.turn.asked) == ("eliza", 1, [[2, 2]])


@pytest.mark.parametrize(("status", "depth"), [("stopped", 0), ("failed", 0), ("complete", 3)])
def test_incomplete_reply_and_long_chain_are_not_answered(status: str, depth: int) -> None:
    one = session(chatbots=("echo", "eliza"), last_seq=1)
    work = apply(batch(one), finish(turn(one, depth=depth), "@eliza?", status=status))
    assert not work.turn_starts


def test_first_reply_gives_the_session_a_title_under_a_separate_number() -> None:
    one = session(title=None, last_seq=1)
    one.title_source = ("# Plan for *today*", "bob")
    work = apply(batch(one), finish(turn(one)))
    assert (one.title, one.titled_by, one.seq) == ("Plan for today", "bob", 3)
    assert [event.session.title for event in events(work, SessionUpdated)] == ["Plan for today"]


def test_error_of_a_failed_reply_is_stored() -> None:
    one = session(last_seq=1)
    error = ErrorView(code="timeout", message="It took too long.")
    [reply] = stored(apply(batch(one), finish(turn(one), "", status="failed", error=error)))
    assert (reply.content, reply.status, reply.error) == ("", "failed", error)


def test_reply_is_cut_and_stopped_above_its_limit() -> None:
    assert as_stored("x" * 100_000, "complete", None) == ("x" * 100_000, "complete", None)
    assert as_stored("x" * 100_001, "complete", None) == ("x" * 100_000, "stopped", TOO_LONG)


def test_reply_is_stored_without_nul() -> None:
    assert as_stored("a\x00b", "complete", None) == ("ab", "complete", None)


def test_unknown_session_of_a_message_leaves_the_batch_unchanged_but_for_the_rejection() -> None:
    one = session()
    work = batch(one)
    apply(work, command := send(UUID(int=1)))
    assert rejected(work) == [(command.message_id, "not_found")]
    work.deliveries.clear()
    assert unchanged(work)

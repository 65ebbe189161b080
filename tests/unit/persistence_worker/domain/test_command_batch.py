"""Batches: repeated commands, lost publications, and how commands are divided into transactions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from persistence_worker.domain.command_batch import REPUBLISH_AFTER, transactions
from shared.contracts import commands
from shared.contracts.events import SessionDeleted, SessionHead, SessionUpdated
from tests.support.commands import ADA, NOON, received, send
from tests.unit.persistence_worker.domain.batches import NOW, apply, batch, events, message, outcome, session, turn


def rename(of: Any, title: str = "New") -> commands.UpdateSession:
    return commands.UpdateSession(session_id=of.id, user_id=ADA, title=title, reply_policy=None)


# --- repeated commands ---


def test_answer_is_recorded_and_repeated_without_applying_again() -> None:
    one = session()
    command = received(rename(one))
    work = batch(one)
    work.apply(command)
    one.title = "changed since"
    work.apply(command)
    assert [reply.result["session"]["title"] for _, reply in work.answers if reply.result] == ["New", "New"]
    assert (one.title, one.last_seq) == ("changed since", 1)
    assert [answer[0] for answer in work.writes.answers] == [command.envelope.id]


def test_error_is_recorded_too_except_unavailable() -> None:
    """`unavailable` means that the command is not applied, so that the client repeats it."""
    one = session()
    refused = apply(batch(one), commands.AddChatbot(session_id=one.id, user_id="bob", chatbot_id="eliza"))
    assert (outcome(refused), len(refused.writes.answers)) == ("forbidden", 1)
    unavailable = apply(
        batch(one, chatbots=()), commands.AddChatbot(session_id=one.id, user_id=ADA, chatbot_id="eliza")
    )
    assert (outcome(unavailable), unavailable.writes.answers) == ("unavailable", [])


def test_repeated_command_whose_answer_was_redacted_is_unavailable() -> None:
    one = session()
    command = received(rename(one))
    work = batch(one, applied={command.envelope.id: None})
    work.apply(command)
    assert outcome(work) == "unavailable"


@pytest.mark.parametrize("command", [send, lambda one: commands.MarkRead(session_id=one, user_id=ADA, seq=1)])
def test_idempotent_commands_are_not_recorded(command: Any) -> None:
    one = session(last_seq=1)
    assert apply(batch(one), command(one.id)).writes.answers == []


def repeated(command: Any, *sessions: Any, **loaded: Any) -> Any:
    """Apply a command that was applied before, as after a crash."""
    delivered = received(command, redelivered=True)
    work = batch(*sessions, applied={delivered.envelope.id: '{"result": {}}'}, **loaded)
    work.apply(delivered)
    work.republish()
    return work


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (commands.UpdateSession, {"title": "New", "reply_policy": None}),
        (commands.AddChatbot, {"chatbot_id": "echo"}),
        (commands.RemoveChatbot, {"chatbot_id": "eliza"}),
        (commands.AcceptInvite, {"invite_hash": "h"}),
    ],
)
def test_repeated_change_of_a_session_publishes_its_state_and_its_head(kind: Any, fields: dict[str, Any]) -> None:
    one = session(last_seq=7)
    work = repeated(kind(session_id=one.id, user_id=ADA, **fields), one)
    assert [event.session.last_seq for event in events(work, SessionUpdated)] == [7]
    assert [head.last_seq for head in events(work, SessionHead)] == [7]
    assert one.last_seq == 7


@pytest.mark.parametrize(
    ("kind", "fields"),
    [(commands.LeaveSession, {"user_id": "eve"}), (commands.RemoveUser, {"user_id": ADA, "removed_id": "eve"})],
)
def test_repeated_end_of_a_membership_notifies_the_former_member(kind: Any, fields: dict[str, Any]) -> None:
    one = session(last_seq=7)
    work = repeated(kind(session_id=one.id, **fields), one)
    assert [(event.users, event.whole) for event in events(work, SessionDeleted)] == [(["eve"], False)]


def test_repeated_removal_of_a_user_who_joined_again_does_not_notify_them() -> None:
    one = session(last_seq=7)
    work = repeated(commands.RemoveUser(session_id=one.id, user_id=ADA, removed_id="bob"), one)
    assert events(work, SessionDeleted) == []


def test_repeated_deletion_notifies_all_members() -> None:
    one = session(deleted_at=NOON)
    work = repeated(commands.DeleteSession(session_id=one.id, user_id=ADA), one)
    assert [(event.users, event.whole) for event in events(work, SessionDeleted)] == [([ADA, "bob"], True)]
    assert events(work, SessionHead) == []


def test_repeated_stop_of_an_open_turn_is_published_again() -> None:
    one = session(last_seq=1)
    owed = turn(one, stop_at=NOON)
    work = repeated(commands.StopReply(session_id=one.id, user_id=ADA, message_id=owed.id), one)
    assert [stop.message_id for stop in work.turn_stops] == [owed.id]
    assert not work.turn_starts


# --- open turns of repeated commands ---


def test_redelivered_command_republishes_open_turns() -> None:
    one = session(last_seq=1)
    owed, known = turn(one), message(one, 1)
    work = apply(batch(one, messages=[known]), send(one.id, message_id=known.id), redelivered=True)
    assert [(start.turn, start.starts, start.republished) for start in work.turn_starts] == [(owed, 1, True)]
    assert (owed.starts, owed.published_at) == (2, NOW)


@pytest.mark.parametrize(("age", "published"), [(timedelta(seconds=29), 0), (REPUBLISH_AFTER, 1)])
def test_resent_message_republishes_a_turn_only_after_a_while(age: timedelta, published: int) -> None:
    one = session(last_seq=1)
    turn(one, published_at=NOW - age)
    known = message(one, 1)
    work = apply(batch(one, messages=[known]), send(one.id, message_id=known.id))
    assert len(work.turn_starts) == published


def test_stopped_and_new_turns_are_not_republished() -> None:
    one = session(chatbots=("echo", "eliza"), last_seq=1)
    turn(one, "echo", stop_at=NOON)
    turn(one, "eliza", new=True)
    known = message(one, 1)
    work = apply(batch(one, messages=[known]), send(one.id, message_id=known.id), redelivered=True)
    assert not work.turn_starts


# --- transactions ---


def test_exclusive_commands_have_a_transaction_each() -> None:
    one = session()
    shared = [received(send(one.id)) for _ in range(4)]
    edit = received(commands.EditMessage(session_id=one.id, user_id=ADA, message_id=one.id, content="x"))
    regenerate = received(commands.RegenerateReply(session_id=one.id, user_id=ADA, message_id=one.id))
    erase = received(commands.EraseAuthor(session_id=one.id, user_id=ADA))
    mixed = [*shared[:2], edit, regenerate, shared[2], erase, shared[3]]
    assert list(transactions(mixed)) == [shared[:2], [edit], [regenerate], [shared[2]], [erase], [shared[3]]]


def test_no_commands_are_no_transaction() -> None:
    assert list(transactions([])) == []

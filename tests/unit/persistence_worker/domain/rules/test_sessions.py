"""The commands that create, change and delete a session, or change its chatbots."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from persistence_worker.domain.unit_of_work import Limits
from shared.contracts.commands import AddChatbot, DeleteSession, RemoveChatbot, UpdateSession
from shared.contracts.events import SessionDeleted, SessionHead, SessionUpdated
from shared.contracts.payload import Payload
from tests.support.commands import ADA, NOON, start
from tests.unit.persistence_worker.domain.batches import (
    NOW,
    apply,
    batch,
    events,
    outcome,
    session,
    stored,
    turn,
    unchanged,
)


def update(of: Any, user: str = ADA, **fields: Any) -> UpdateSession:
    return UpdateSession(session_id=of.id, user_id=user, **({"title": None, "reply_policy": None} | fields))


# --- start ---


def test_started_session_has_its_owner_and_the_default_chatbot_without_a_number() -> None:
    command = start(title="Plans")
    work = apply(batch(), command)
    assert outcome(work)["session"]["owner_id"] == ADA
    created = work.loaded.sessions[command.session_id]
    assert (created.users, created.chatbots, created.seq, created.last_seq) == ([ADA], ["echo"], 0, 0)
    assert (created.title, created.titled_by, created.new) == ("Plans", ADA, True)
    assert [event.session.id for event in events(work, SessionUpdated)] == [command.session_id]


def test_repeated_start_answers_with_the_first_one() -> None:
    one = session(title="first")
    work = apply(batch(one), start(one.id, title="second"))
    assert outcome(work)["session"]["title"] == "first"
    assert events(work, SessionUpdated) == []
    assert [head.session_id for head in events(work, SessionHead)] == [one.id]


def test_redelivered_start_is_published_again_because_it_has_no_number() -> None:
    one = session()
    work = apply(batch(one), start(one.id), redelivered=True)
    assert [event.session.id for event in events(work, SessionUpdated)] == [one.id]


@pytest.mark.parametrize("why", ["id of another user", "deleted", "erased user"])
def test_start_is_refused_as_not_found(why: str) -> None:
    one = session(deleted_at=NOON if why == "deleted" else None)
    user = "eve" if why == "id of another user" else ADA
    work, session_id = (batch(erased_users={ADA}), None) if why == "erased user" else (batch(one), one.id)
    assert outcome(apply(work, start(session_id, user))) == "not_found"


@pytest.mark.parametrize(
    ("wanted", "code"), [(["echo", "unknown"], "not_found"), (["echo", "eliza", "third"], "conflict")]
)
def test_start_with_unknown_or_too_many_chatbots_is_refused(wanted: list[str], code: str) -> None:
    work = apply(batch(limits=Limits(chatbots=2, users=2)), start(chatbot_ids=wanted))
    assert outcome(work) == code
    assert not work.loaded.sessions


def test_start_before_any_catalogue_is_unavailable() -> None:
    assert outcome(apply(batch(chatbots=()), start())) == "unavailable"


def test_chatbots_named_twice_take_part_once() -> None:
    command = start(chatbot_ids=["eliza", "echo", "eliza"])
    work = apply(batch(), command)
    assert work.loaded.sessions[command.session_id].chatbots == ["eliza", "echo"]


# --- update, delete ---


def test_member_changes_the_title_under_one_number() -> None:
    one = session(last_seq=3)
    work = apply(batch(one), update(one, "bob", title="New"))
    assert outcome(work)["session"]["title"] == "New"
    assert (one.title, one.titled_by, one.seq, one.last_seq) == ("New", "bob", 4, 4)
    assert len(events(work, SessionUpdated)) == 1


def test_only_the_owner_changes_the_reply_policy() -> None:
    one = session()
    assert outcome(apply(batch(one), update(one, "bob", reply_policy="all"))) == "forbidden"
    work = apply(batch(one), update(one, reply_policy="all"))
    assert (one.reply_policy, work.writes.sessions) == ("all", {one.id})


def test_update_without_a_change_takes_no_number() -> None:
    one = session(title="A title", last_seq=3)
    work = apply(batch(one), update(one, title="A title", reply_policy="mentioned"))
    assert outcome(work)["session"]["last_seq"] == 3
    assert unchanged(work)


def test_deletion_leaves_a_tombstone_and_ends_open_turns() -> None:
    one = session(last_seq=1)
    owed = turn(one)
    work = apply(batch(one), DeleteSession(session_id=one.id, user_id=ADA))
    assert outcome(work) == {}
    assert (one.deleted_at, one.title, one.titled_by, one.turns) == (NOW, None, None, {})
    assert [stop.message_id for stop in work.turn_stops] == [owed.id]
    assert stored(work) == []
    [event] = events(work, SessionDeleted)
    assert (event.users, event.whole) == ([ADA, "bob"], True)


@pytest.mark.parametrize(("user", "code"), [("bob", "forbidden"), ("eve", "not_found")])
def test_only_the_owner_deletes_a_session(user: str, code: str) -> None:
    one = session()
    work = apply(batch(one), DeleteSession(session_id=one.id, user_id=user))
    assert outcome(work) == code
    assert unchanged(work)


# --- chatbots ---


def test_owner_adds_a_chatbot_of_the_catalogue() -> None:
    one = session()
    work = apply(batch(one), AddChatbot(session_id=one.id, user_id=ADA, chatbot_id="eliza"))
    assert [each["id"] for each in outcome(work)["session"]["chatbots"]] == ["echo", "eliza"]
    assert (one.seq, work.writes.chatbots) == (1, {one.id})


@pytest.mark.parametrize(
    ("user", "chatbot", "code"),
    [("bob", "eliza", "forbidden"), (ADA, "unknown", "not_found"), (ADA, "eliza", "conflict")],
)
def test_chatbot_is_not_added_without_permission_card_or_room(user: str, chatbot: str, code: str) -> None:
    one = session()
    limits = Limits(chatbots=1 if code == "conflict" else 8, users=2)
    work = apply(batch(one, limits=limits), AddChatbot(session_id=one.id, user_id=user, chatbot_id=chatbot))
    assert outcome(work) == code
    assert unchanged(work)


def test_adding_a_chatbot_twice_changes_nothing() -> None:
    one = session()
    work = apply(batch(one), AddChatbot(session_id=one.id, user_id=ADA, chatbot_id="echo"))
    assert unchanged(work)


def test_removed_chatbot_leaves_its_open_turn_as_stopped() -> None:
    one = session(last_seq=1)
    owed = turn(one)
    work = apply(batch(one), RemoveChatbot(session_id=one.id, user_id=ADA, chatbot_id="echo"))
    [reply] = stored(work)
    assert (reply.id, reply.content, reply.status) == (owed.id, "", "stopped")
    assert (one.chatbots, one.turns) == ([], {})
    assert [stop.message_id for stop in work.turn_stops] == [owed.id]
    assert not work.turn_starts


def test_removed_chatbot_also_stores_the_reply_that_a_superseded_one_refers_to() -> None:
    one = session(last_seq=2)
    owed = turn(one, waiting_id=uuid4())
    owed.waiting, owed.waiting_reply_to = [[2, 2]], uuid4()
    promised = owed.waiting_id
    work = apply(batch(one), RemoveChatbot(session_id=one.id, user_id=ADA, chatbot_id="echo"))
    assert [reply.id for reply in stored(work)] == [owed.id, promised]
    assert not work.turn_starts


@pytest.mark.parametrize("kind", [UpdateSession, DeleteSession, AddChatbot, RemoveChatbot])
@pytest.mark.parametrize("state", ["missing", "deleted", "not a member"])
def test_commands_on_a_session_that_is_not_visible_are_not_found(kind: type[Payload], state: str) -> None:
    one = session(
        users=("bob",) if state == "not a member" else (ADA,), deleted_at=NOON if state == "deleted" else None
    )
    fields = {"title": "x", "reply_policy": None} if kind is UpdateSession else {"chatbot_id": "echo"}
    command: Any = kind(session_id=one.id, user_id=ADA, **({} if kind is DeleteSession else fields))  # type: ignore[arg-type]
    work = apply(batch(*([] if state == "missing" else [one])), command)
    assert outcome(work) == "not_found"
    assert unchanged(work)

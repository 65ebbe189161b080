"""`EraseAuthor`: what remains of a deleted user in a session."""

from __future__ import annotations

import pytest

from persistence_worker.domain.state import History
from shared.contracts.commands import EraseAuthor
from shared.contracts.events import SessionDeleted, SessionUpdated
from tests.support.commands import ADA, NOON
from tests.unit.persistence_worker.domain.batches import NOW, apply, batch, changed, events, message, outcome, session


def test_messages_are_erased_one_number_each_after_the_end_of_the_membership() -> None:
    one = session(last_seq=4)
    written = [message(one, seq, "bob", client_message_id="c") for seq in (1, 3)]
    work = batch(one, messages=written, history=History(messages=written))
    apply(work, EraseAuthor(session_id=one.id, user_id="bob"))
    assert one.users == [ADA]
    assert [(m.seq, m.updated_seq, m.content, m.status, m.client_message_id) for m in changed(work)] == [
        (1, 6, "", "erased", None),
        (3, 7, "", "erased", None),
    ]
    assert work.writes.erased_members == work.writes.deleted_ratings == {(one.id, "bob")}
    assert work.follow_ups == []
    assert outcome(work) == {}


def test_title_that_the_user_wrote_is_removed() -> None:
    one = session(last_seq=1)
    one.titled_by = "bob"
    work = apply(batch(one), EraseAuthor(session_id=one.id, user_id="bob"))
    assert (one.title, one.titled_by) == (None, None)
    assert [event.session.title for event in events(work, SessionUpdated)] == ["A title", None]


def test_long_history_is_continued_by_a_follow_up_command() -> None:
    one = session(last_seq=900)
    command = EraseAuthor(session_id=one.id, user_id="bob")
    work = apply(batch(one, history=History(more=500)), command)
    assert [follow_up.after_seq for follow_up in work.follow_ups] == [500]
    assert work.writes.erased_members == set()


def test_erasure_of_the_last_member_deletes_the_session() -> None:
    one = session(users=("bob",), last_seq=2)
    written = message(one, 1, "bob")
    work = batch(one, messages=[written], history=History(messages=[written]))
    apply(work, EraseAuthor(session_id=one.id, user_id="bob"))
    assert one.deleted_at == NOW
    assert [event.whole for event in events(work, SessionDeleted)] == [True]
    assert changed(work) == []


@pytest.mark.parametrize("state", ["missing", "deleted"])
def test_missing_or_deleted_session_needs_no_erasure(state: str) -> None:
    one = session(deleted_at=NOON)
    work = apply(batch(*([one] if state == "deleted" else [])), EraseAuthor(session_id=one.id, user_id="bob"))
    assert outcome(work) == {}
    assert not work.deliveries


def test_erasure_is_not_recorded_because_it_is_idempotent() -> None:
    one = session(last_seq=1)
    work = apply(batch(one), EraseAuthor(session_id=one.id, user_id="bob"))
    assert work.writes.answers == []

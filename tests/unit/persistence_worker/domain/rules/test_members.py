"""Invites, memberships and read marks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from persistence_worker.domain.state import Invite, SessionState
from persistence_worker.domain.unit_of_work import Limits
from shared.contracts.commands import AcceptInvite, CreateInvite, LeaveSession, MarkRead, RemoveUser
from shared.contracts.events import ReadMarked, SessionDeleted, SessionUpdated
from shared.contracts.payload import rfc3339
from tests.support.commands import ADA, NOON
from tests.unit.persistence_worker.domain.batches import NOW, apply, batch, events, outcome, session, unchanged


def invite(of: SessionState, **more: Any) -> dict[str, Invite]:
    fields = {"expires_at": NOW + timedelta(hours=1), "max_uses": None} | more
    return {"h": Invite("h", of.id, **fields)}


def accept(of: SessionState, user: str) -> AcceptInvite:
    return AcceptInvite(session_id=of.id, user_id=user, invite_hash="h")


def remove(of: SessionState, removed: str, user: str = ADA) -> RemoveUser:
    return RemoveUser(session_id=of.id, user_id=user, removed_id=removed)


def mark(of: SessionState, seq: int, user: str = ADA) -> MarkRead:
    return MarkRead(session_id=of.id, user_id=user, seq=seq)


# --- invites ---


def test_owner_creates_an_invite_without_taking_a_number() -> None:
    one = session()
    command = CreateInvite(
        session_id=one.id, user_id=ADA, invite_hash="h", expires_at=rfc3339(NOW + timedelta(hours=1)), max_uses=2
    )
    work = apply(batch(one), command)
    assert outcome(work) == {}
    assert work.writes.invites["h"].max_uses == 2
    assert unchanged(work)


def test_only_the_owner_creates_an_invite() -> None:
    one = session()
    command = CreateInvite(session_id=one.id, user_id="bob", invite_hash="h", expires_at=rfc3339(NOW), max_uses=None)
    assert outcome(apply(batch(one), command)) == "forbidden"


def test_accepted_invite_makes_a_member_under_a_number() -> None:
    one = session(last_seq=4)
    work = apply(batch(one, invites=invite(one)), accept(one, "cem"))
    assert outcome(work)["session"]["users"] == [ADA, "bob", "cem"]
    assert (one.seq, work.writes.invites["h"].uses) == (5, 1)
    assert work.writes.joined == {(one.id, "cem"): one.updated_at}
    assert len(events(work, SessionUpdated)) == 1


def test_member_uses_up_no_invite() -> None:
    one = session()
    apply(batch(one, invites=invite(one, max_uses=1)), accept(one, "bob"), accept(one, "cem"))
    assert one.users == [ADA, "bob", "cem"]


@pytest.mark.parametrize(
    "fields",
    [
        {"expires_at": NOW},
        {"ended": True},
        {"max_uses": 1, "uses": 1},
        {"session_id": None},
        None,
    ],
    ids=["expired", "ended", "used up", "of another session", "unknown"],
)
def test_invalid_invite_is_not_found(fields: dict[str, Any] | None) -> None:
    one = session()
    invites = invite(one) if fields is not None else {}
    for name, value in (fields or {}).items():
        setattr(invites["h"], name, value)
    work = apply(batch(one, invites=invites), accept(one, "cem"))
    assert outcome(work) == "not_found"
    assert unchanged(work)


def test_erased_user_cannot_enter_a_session() -> None:
    one = session()
    assert outcome(apply(batch(one, invites=invite(one), erased_users={"cem"}), accept(one, "cem"))) == "not_found"


def test_session_above_its_quota_of_members_refuses_with_conflict() -> None:
    one = session()
    work = apply(batch(one, invites=invite(one), limits=Limits(chatbots=1, users=2)), accept(one, "cem"))
    assert outcome(work) == "conflict"
    assert work.loaded.invites["h"].uses == 0


def test_members_who_join_at_the_same_time_are_in_the_order_of_the_database() -> None:
    one = session(users=(ADA,))
    apply(batch(one, invites=invite(one)), accept(one, "cem"), accept(one, "bob"))
    assert one.users == [ADA, "bob", "cem"]


# --- leaving ---


def test_leaving_member_is_notified_and_remaining_members_get_the_new_session() -> None:
    one = session(last_seq=2)
    work = apply(batch(one), LeaveSession(session_id=one.id, user_id="bob"))
    assert [event.session.users for event in events(work, SessionUpdated)] == [[ADA]]
    [deleted] = events(work, SessionDeleted)
    assert (deleted.users, deleted.whole, deleted.seq) == (["bob"], False, 3)
    assert work.writes.left == {(one.id, "bob")}


def test_owner_who_leaves_is_followed_by_the_longest_member() -> None:
    one = session(users=(ADA, "bob", "cem"))
    work = apply(batch(one), LeaveSession(session_id=one.id, user_id=ADA))
    assert one.owner_id == "bob"
    assert work.writes.sessions == {one.id}


def test_last_member_who_leaves_deletes_the_session() -> None:
    one = session(users=(ADA,))
    work = apply(batch(one), LeaveSession(session_id=one.id, user_id=ADA))
    assert one.deleted_at == NOW
    assert [event.whole for event in events(work, SessionDeleted)] == [True]


def test_removing_a_member_ends_open_invites() -> None:
    one = session()
    work = apply(batch(one, invites=invite(one)), remove(one, "bob"), accept(one, "bob"))
    assert one.users == [ADA]
    assert outcome(work) == "not_found"
    assert work.writes.ended_invites == {one.id}


@pytest.mark.parametrize(
    ("removed", "user", "code"), [(ADA, ADA, "conflict"), ("bob", "bob", "forbidden"), ("bob", "eve", "not_found")]
)
def test_member_is_not_removed_without_permission(removed: str, user: str, code: str) -> None:
    one = session()
    work = apply(batch(one), remove(one, removed, user))
    assert outcome(work) == code
    assert unchanged(work)


def test_removing_an_unknown_user_changes_nothing() -> None:
    one = session()
    work = apply(batch(one), remove(one, "eve"))
    assert outcome(work)["session"]["users"] == [ADA, "bob"]
    assert unchanged(work)


# --- read marks ---


def test_read_mark_only_rises_and_not_above_the_newest_number() -> None:
    one = session(last_seq=5)
    work = apply(batch(one, read_marks={(one.id, ADA): 2}), mark(one, 2), mark(one, 3), mark(one, 99), mark(one, 4))
    assert [event.seq for event in events(work, ReadMarked)] == [3, 5]
    assert work.writes.read_marks == {(one.id, ADA): 5}
    assert one.last_seq == 5


def test_read_mark_of_a_former_member_is_dropped() -> None:
    one = session(last_seq=5)
    work = apply(batch(one), mark(one, 3, "bob"), LeaveSession(session_id=one.id, user_id="bob"))
    assert work.writes.read_marks == {}


@pytest.mark.parametrize("kind", [AcceptInvite, LeaveSession, MarkRead])
def test_commands_on_a_deleted_session_are_not_found(kind: type[Any]) -> None:
    one = session(deleted_at=NOON)
    fields = {AcceptInvite: {"invite_hash": "h"}, MarkRead: {"seq": 1}}.get(kind, {})
    work = apply(batch(one, invites=invite(one)), kind(session_id=one.id, user_id=ADA, **fields))
    assert outcome(work) == "not_found"

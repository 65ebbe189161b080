"""Which sockets receive a served session: a removal counts from its number on."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from chat_gateway.identity.authentication import Identity
from chat_gateway.sessions import session_state
from chat_gateway.sessions.session_state import ServedSession, Subscriber
from chat_gateway.transport.frames import Frame
from shared.errors import NotFound


class Recipient:
    """A socket that keeps what it is sent."""

    def __init__(self, user_id: str, session: ServedSession, scopes: frozenset[str] | None = None) -> None:
        self.user_id = user_id
        self.joined = {session.key}
        self.open = self.receives = True
        self.follows: str | None = None
        self.identity = Identity(user_id, "login", "token", 0.0, 900.0, scopes)
        self.frames: list[Frame] = []
        self.subscriber = Subscriber(self)
        session.subscribers[self] = self.subscriber

    def send(self, frame: Frame) -> None:
        self.frames.append(frame)


def view(session_id: UUID, users: list[str], seq: int) -> dict[str, Any]:
    return {"id": str(session_id), "users": users, "seq": seq, "last_seq": seq}


@pytest.fixture
def session() -> ServedSession:
    served = ServedSession(uuid4(), 0)
    served.load(view(served.id, ["ada", "bob"], 3))
    return served


def joined(session: ServedSession, user: str, floor: int) -> Recipient:
    recipient = Recipient(user, session)
    recipient.subscriber.joined, recipient.subscriber.floor = True, floor
    return recipient


def test_removed_member_does_not_get_the_change_that_removes_them(session: ServedSession) -> None:
    ada, bob = joined(session, "ada", 3), joined(session, "bob", 3)
    remove_member = session.release([("session_updated", view(session.id, ["ada"], 4))])
    assert remove_member == [bob]
    assert (len(ada.frames), len(bob.frames)) == (1, 0)
    assert (ada.joined, bob.joined) == ({session.key}, set())
    assert bob not in session.subscribers


@pytest.mark.parametrize(("scopes", "stays"), [({"transcripts"}, True), ({"chat"}, False), (set(), False)])
def test_only_a_service_that_reads_every_session_follows_it_without_membership(
    session: ServedSession, scopes: set[str], *, stays: bool
) -> None:
    watcher = Recipient("service:watch", session, frozenset(scopes))
    watcher.subscriber.joined, watcher.subscriber.floor = True, 3
    removed = session.release([("session_updated", view(session.id, ["ada"], 4))])
    assert (removed == []) is stays
    assert len(watcher.frames) == int(stays)


def test_older_membership_does_not_remove_a_newer_member(session: ServedSession) -> None:
    """The join was answered as of number 6, and earlier changes are delivered after it."""
    carl = joined(session, "carl", 6)
    session.release([("session_updated", view(session.id, ["ada"], 4))])
    session.release([("session_updated", view(session.id, ["ada", "carl"], 6))])
    assert session.has_joined(carl)
    session.check_current("carl", view(session.id, ["ada", "carl"], 6))


def test_join_that_read_before_the_removal_is_refused(session: ServedSession) -> None:
    """The answer is as of number 3, and the removal was released since."""
    session.release([("session_updated", view(session.id, ["ada"], 4))])
    with pytest.raises(NotFound):
        session.check_current("bob", view(session.id, ["ada", "bob"], 3))
    session.check_current("ada", view(session.id, ["ada", "bob"], 3))


def test_member_removed_during_a_join_must_join_again(session: ServedSession) -> None:
    """The join may have read before the removal, or after the user returned."""
    bob = Recipient("bob", session)
    bob.subscriber.joins = 1
    bob.subscriber.begin_join()
    assert session.remove_member("bob")
    assert bob.subscriber.removed
    bob.subscriber.begin_join()
    assert not bob.subscriber.removed


def test_overflow_during_a_repeated_join_causes_no_gap(session: ServedSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waited comes at once, in its order, and the join has to be made again; a first join just has to be."""
    monkeypatch.setattr(session_state, "PENDING_MAX", 3)
    ada, bob = joined(session, "ada", 3), Recipient("bob", session)
    frames = [Frame(str(number).encode()) for number in range(4, 10)]
    for recipient in (ada, bob):
        recipient.subscriber.begin_join()
        for number, frame in enumerate(frames, 4):
            recipient.subscriber.offer(number, frame)
        assert recipient.subscriber.overflowed
        recipient.subscriber.cancel_join()
    assert ada.frames == frames
    assert bob.frames == []


def test_close_returns_the_joined_sockets(session: ServedSession) -> None:
    ada = joined(session, "ada", 3)
    Recipient("bob", session)
    assert session.close() == [ada]
    assert ada.joined == set()
    assert session.idle


def test_late_removal_does_not_remove_a_returned_member(session: ServedSession) -> None:
    """The user left as of number 4 and returned as of number 5 on one device only."""
    phone, desk = joined(session, "bob", 5), joined(session, "bob", 3)
    assert session.remove_member("bob", 4)
    assert session.has_joined(phone)
    assert not session.has_joined(desk)
    assert not session.remove_member("bob", 4)
    assert session.remove_member("bob")
    assert not session.has_joined(phone)

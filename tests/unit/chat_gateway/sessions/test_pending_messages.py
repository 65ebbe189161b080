"""When the log is worked off too slowly, and what was not heard of."""

from __future__ import annotations

from uuid import uuid4

import pytest

from chat_gateway.sessions import pending_messages as module
from chat_gateway.sessions.pending_messages import CROWD, KEPT_CHARACTERS_MAX, Accepted
from shared.contracts.envelope import Event
from shared.contracts.queries import ListChatbots


class Clock:
    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        patch.setattr(module.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


EVENT = Event("test", ListChatbots())


def add(accepted: Accepted, count: int, characters: int = 1) -> list[str]:
    ids = [uuid4().hex for _ in range(count)]
    for message_id in ids:
        accepted.add(message_id, "0", EVENT, characters)
    return ids


def test_while_nothing_is_stored_everything_is_taken(clock: Clock) -> None:
    """The database is away: P7."""
    accepted = Accepted()
    for _ in range(20):
        add(accepted, CROWD)
        clock.now += 1
        assert not accepted.backlogged()


def test_more_than_can_be_stored_soon_is_a_backlog(clock: Clock) -> None:
    """At 100 a second, 200 are two seconds of work; a crowd is needed besides."""
    accepted = Accepted()
    ids = add(accepted, 1_000)
    for _ in range(10):
        clock.now += 0.5
        for message_id in [ids.pop(0) for _ in range(50)]:
            accepted.settled(message_id)
        accepted.progressing()
    assert len(accepted) == 500
    assert accepted.backlogged()
    while len(accepted) >= CROWD:
        accepted.settled(ids.pop(0))
    assert not accepted.backlogged()


def test_after_a_quiet_time_a_crowd_is_no_backlog_yet(clock: Clock) -> None:
    """Ten a second were stored because no more came; how fast it can go shows within half a second."""
    accepted = Accepted()
    for _ in range(10):
        clock.now += 1
        for message_id in add(accepted, 10):
            accepted.settled(message_id)
        accepted.progressing()
    ids = add(accepted, 2 * CROWD)
    for _ in range(8):
        clock.now += 0.1
        assert not accepted.backlogged()
        for message_id in ids[:100]:  # 1,000 a second
            accepted.settled(message_id)
        ids = ids[100:] + add(accepted, 100)


def test_when_storing_stops_for_good_messages_are_taken_again(clock: Clock) -> None:
    accepted = Accepted()
    ids = add(accepted, 1_000)
    for message_id in ids[:100]:
        accepted.settled(message_id)
    clock.now += 0.5
    assert accepted.backlogged()
    clock.now += 10
    assert not accepted.backlogged()


def test_what_is_never_heard_of_is_forgotten_once_others_are(clock: Clock) -> None:
    """Sent again after it was stored, a message is not told of; that must not count as a backlog for ever."""
    accepted = Accepted()
    add(accepted, CROWD)
    for _ in range(40):
        clock.now += 1
        for message_id in add(accepted, 10):
            accepted.settled(message_id)
        accepted.progressing()
    assert len(accepted) == 0


def test_what_came_before_a_gap_and_was_not_heard_of(clock: Clock) -> None:
    accepted = Accepted()
    first = add(accepted, 3)
    clock.now += 1
    gap = clock.now
    add(accepted, 2)
    accepted.settled(first[1])
    assert len(accepted.before(gap)) == 2


def test_what_was_not_published_is_not_waited_for(clock: Clock) -> None:
    """Nor does it count as stored; what was sent again since, under the same id, stays."""
    accepted = Accepted()
    ids = add(accepted, 2)
    again = Event("test", ListChatbots())
    accepted.add(ids[1], "0", again, 1)
    clock.now += 1
    for message_id in ids:
        accepted.withdraw(message_id, EVENT)
    assert [waiting.event for waiting in accepted.before(clock.now)] == [again]
    clock.now += 10
    accepted.progressing()
    accepted.withdraw(ids[1], again)
    clock.now += 0.5
    assert not accepted.progressing()
    assert len(accepted) == 0


def test_its_memory_is_bounded() -> None:
    accepted = Accepted()
    add(accepted, 10, characters=KEPT_CHARACTERS_MAX // 2)
    assert len(accepted) == 2

"""When messages are stored too slowly, and which ones are still pending."""

from __future__ import annotations

from uuid import uuid4

import pytest

from chat_gateway.sessions import pending_messages as module
from chat_gateway.sessions.pending_messages import BACKLOG_MIN, KEPT_CHARACTERS_MAX, PendingMessages
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


def add(pending_messages: PendingMessages, count: int, characters: int = 1) -> list[str]:
    ids = [uuid4().hex for _ in range(count)]
    for message_id in ids:
        pending_messages.add(message_id, "0", EVENT, characters, module.time.monotonic())
    return ids


def test_everything_is_accepted_while_nothing_is_stored(clock: Clock) -> None:
    """The database is away: P7."""
    pending_messages = PendingMessages()
    for _ in range(20):
        add(pending_messages, BACKLOG_MIN)
        clock.now += 1
        assert not pending_messages.is_backlogged()


def test_more_than_a_second_of_work_is_a_backlog(clock: Clock) -> None:
    """At 100 per second, 200 messages are two seconds of work."""
    pending_messages = PendingMessages()
    ids = add(pending_messages, 1_000)
    for _ in range(10):
        clock.now += 0.5
        for message_id in [ids.pop(0) for _ in range(50)]:
            pending_messages.resolved(message_id)
        pending_messages.is_progressing()
    assert len(pending_messages) == 500
    assert pending_messages.is_backlogged()
    while len(pending_messages) >= BACKLOG_MIN:
        pending_messages.resolved(ids.pop(0))
    assert not pending_messages.is_backlogged()


def test_burst_after_an_idle_period_is_not_a_backlog(clock: Clock) -> None:
    """Ten a second were stored because no more came; how fast it can go shows within half a second."""
    pending_messages = PendingMessages()
    for _ in range(10):
        clock.now += 1
        for message_id in add(pending_messages, 10):
            pending_messages.resolved(message_id)
        pending_messages.is_progressing()
    ids = add(pending_messages, 2 * BACKLOG_MIN)
    for _ in range(8):
        clock.now += 0.1
        assert not pending_messages.is_backlogged()
        for message_id in ids[:100]:  # 1,000 a second
            pending_messages.resolved(message_id)
        ids = ids[100:] + add(pending_messages, 100)


def test_messages_are_accepted_again_when_storing_stops(clock: Clock) -> None:
    pending_messages = PendingMessages()
    ids = add(pending_messages, 1_000)
    for message_id in ids[:100]:
        pending_messages.resolved(message_id)
    clock.now += 0.5
    assert pending_messages.is_backlogged()
    clock.now += 10
    assert not pending_messages.is_backlogged()


def test_unresolved_messages_expire_while_others_are_stored(clock: Clock) -> None:
    """A message sent again after it was stored is never resolved; it must not count as a backlog permanently."""
    pending_messages = PendingMessages()
    add(pending_messages, BACKLOG_MIN)
    for _ in range(40):
        clock.now += 1
        for message_id in add(pending_messages, 10):
            pending_messages.resolved(message_id)
        pending_messages.is_progressing()
    assert len(pending_messages) == 0


def test_pending_messages_before_a_gap_are_returned(clock: Clock) -> None:
    pending_messages = PendingMessages()
    first = add(pending_messages, 3)
    clock.now += 1
    gap = clock.now
    add(pending_messages, 2)
    pending_messages.resolved(first[1])
    assert len(pending_messages.accepted_before(gap)) == 2


def test_withdrawn_message_is_not_pending(clock: Clock) -> None:
    """It does not count as stored; a message sent again under the same id stays pending."""
    pending_messages = PendingMessages()
    ids = add(pending_messages, 2)
    again = Event("test", ListChatbots())
    pending_messages.add(ids[1], "0", again, 1, clock.now)
    clock.now += 1
    for message_id in ids:
        pending_messages.withdraw(message_id, EVENT)
    assert [waiting.event for waiting in pending_messages.accepted_before(clock.now)] == [again]
    clock.now += 10
    pending_messages.is_progressing()
    pending_messages.withdraw(ids[1], again)
    clock.now += 0.5
    assert not pending_messages.is_progressing()
    assert len(pending_messages) == 0


def test_its_memory_is_bounded() -> None:
    pending_messages = PendingMessages()
    add(pending_messages, 10, characters=KEPT_CHARACTERS_MAX // 2)
    assert len(pending_messages) == 2

"""One chatbot and many users: its slots are shared fairly, and waiting turns show `typing`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from chatbot_worker.chatbots.protocol import Turn
from shared.contracts.turns import RunTurn
from tests.integration.chatbot_worker.conftest import Start, body, turn
from tests.integration.chatbot_worker.fake_bus import FakeBus
from tests.integration.chatbot_worker.scripted import SCRIPTED, Counting, Scripted, hang
from tests.support.waiting import until


class Gate:
    """Lets replies end one by one, and notes whose they are."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.passes = asyncio.Semaphore(0)

    async def reply(self, asked: Turn) -> AsyncIterator[str]:
        self.order.append(asked.unanswered[-1].sender_id)
        await self.passes.acquire()
        yield "done"


def of(person: str) -> RunTurn:
    asked = turn(chatbot_id="bot")
    return asked.replace(context=[asked.context[0].replace(sender_id=person)])


async def test_turn_of_a_quiet_user_runs_before_those_of_a_busy_user(
    bus: FakeBus, start: Start, scripted: Scripted
) -> None:
    """Thirty turns of one person's sessions are there first; another's one turn is next, and typing says it waits."""
    gate = Gate()
    scripted.plays = [gate.reply]
    await start(SCRIPTED + "concurrency = 1\n")
    for _ in range(30):
        bus.deliver("turns.bot", body(of("hog")))
    await until(lambda: len(bus.typing()) == 30)
    bus.deliver("turns.bot", body(of("bob")))
    await until(lambda: len(bus.typing()) == 31)
    assert gate.order == ["hog"]
    gate.passes.release()
    await until(lambda: len(gate.order) == 2)
    assert gate.order == ["hog", "bob"]
    for _ in range(30):
        gate.passes.release()
    await until(lambda: len(bus.subscriptions["turns.bot"].acked) == 31)
    assert gate.order[2:] == ["hog"] * 29
    assert bus.typing().count(False) == 31


async def test_one_user_never_holds_all_slots_of_a_chatbot(bus: FakeBus, start: Start, scripted: Scripted) -> None:
    """With eight at once two are kept for others: they need not wait at all."""
    gate = Gate()
    scripted.plays = [gate.reply]
    await start(SCRIPTED + "concurrency = 8\n")
    for person in ["hog"] * 20 + ["bob"]:
        bus.deliver("turns.bot", body(of(person)))
    await until(lambda: len(gate.order) == 7)
    assert gate.order == ["hog"] * 6 + ["bob"]
    for _ in range(21):
        gate.passes.release()
    await until(lambda: len(bus.subscriptions["turns.bot"].acked) == 21)


async def test_excess_turns_of_one_user_are_requeued(bus: FakeBus, start: Start, scripted: Scripted) -> None:
    """Half of them are requeued, marked as started, so that turns of other users are delivered. Each is answered."""
    gate = Gate()
    scripted.plays = [gate.reply]
    bus.open = [True] * 33
    await start(SCRIPTED + "concurrency = 1\n")
    turns = [of("hog") for _ in range(33)]
    for asked in turns:
        bus.deliver("turns.bot", body(asked))
    await until(lambda: len(bus.subscriptions["turns.bot"].acked) == 16)
    back = [event.data for _, _, event in bus.published if isinstance(event.data, RunTurn)]
    assert len({turn_.message_id for turn_ in back}) == 16
    assert turns[0].message_id not in {turn_.message_id for turn_ in back}
    assert all(turn_.again for turn_ in back)
    for turn_ in back:
        bus.deliver("turns.bot", body(turn_))
    for _ in range(33):
        gate.passes.release()
    await until(lambda: len(bus.subscriptions["turns.bot"].acked) == 33 + 16)
    assert {finish.message_id for finish in bus.finished()} == {asked.message_id for asked in turns}


async def test_typing_is_renewed_until_the_turn_ends(
    bus: FakeBus, start: Start, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it waits and while it runs; at the end no more."""
    monkeypatch.setattr("chatbot_worker.turns.typing_indicator.RENEWAL_INTERVAL", 0.02)
    scripted.plays = [hang]
    await start(SCRIPTED + "concurrency = 1\n")
    running, waiting = of("ada"), of("bob")
    for asked in (running, waiting):
        bus.deliver("turns.bot", body(asked))
    await until(lambda: len(bus.typing()) >= 6)
    for asked in (waiting, running):
        bus.stop(asked)
    await until(lambda: len(bus.subscriptions["turns.bot"].acked) == 2)
    assert bus.typing().count(False) == 2
    assert bus.typing()[-1] is False


async def test_turn_is_requeued_after_wait_timeout(
    bus: FakeBus, start: Start, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker may have a free slot, and the broker must not requeue the turn itself."""
    monkeypatch.setattr("chatbot_worker.turns.turn_slot.WAIT_MAX", 0.05)
    scripted.plays = [hang]
    await start(SCRIPTED + "concurrency = 1\n")
    running, waiting = of("ada"), of("bob")
    first = bus.deliver("turns.bot", body(running))
    await until(bus.deltas)
    bus.refused = 2
    second = bus.deliver("turns.bot", body(waiting))
    await until(lambda: bus.subscriptions["turns.bot"].acked == [second])
    (again,) = [event.data for _, _, event in bus.published if isinstance(event.data, RunTurn)]
    assert again == waiting.replace(again=True, starts=1)
    bus.stop(running)
    await until(lambda: bus.subscriptions["turns.bot"].acked == [second, first])


async def test_only_the_turn_that_crashes_workers_fails(bus: FakeBus, start: Start, scripted: Scripted) -> None:
    """All turns have the same delivery count: only the first one fails, all following ones run one at a time."""
    counting = Counting()
    scripted.plays = [counting]
    bus.open = [True] * 4
    await start(SCRIPTED)
    suspects = [of(person) for person in "abcd"]
    for suspect in suspects:
        bus.deliver("turns.bot", body(suspect), delivery_count=10)
    await until(lambda: len(bus.subscriptions["turns.bot"].acked) == 4)
    assert [finish.status for finish in bus.finished()] == ["failed", "complete", "complete", "complete"]
    assert bus.finished()[0].message_id == suspects[0].message_id
    assert counting.most == 1

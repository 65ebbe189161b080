"""`stop_reply` in the worker: the chatbot is closed and the text so far is kept, wherever the turn just is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from chatbot_worker.chatbots.protocol import Turn
from shared.contracts.turns import RunTurn
from tests.integration.chatbot_worker.conftest import Start, body, turn
from tests.integration.chatbot_worker.fake_bus import FakeBus
from tests.integration.chatbot_worker.scripted import INSTANT, SCRIPTED, Scripted, breaks, hang
from tests.support.waiting import pause, until


def ends(bus: FakeBus) -> list[tuple[str, str, object]]:
    return [(finish.status, finish.content, finish.error) for finish in bus.finished()]


async def test_a_running_reply_ends_with_the_text_so_far(bus: FakeBus, start: Start, scripted: Scripted) -> None:
    """The chatbot is closed, the reply keeps the attempt of its deltas, the turn is acked, and `typing` ends."""
    scripted.plays = [hang]
    await start(SCRIPTED)
    asked = turn(chatbot_id="bot")
    tag = bus.deliver("turns.bot", body(asked))
    await until(bus.deltas)
    bus.stop(asked)
    await until(lambda: bus.subscriptions["turns.bot"].acked == [tag])
    assert ends(bus) == [("stopped", "so far", None)]
    assert bus.finished()[0].attempt == bus.deltas()[0].attempt
    assert scripted.closed == 1
    assert bus.typing() == [True, False]


async def test_stop_is_valid_only_in_its_session(bus: FakeBus, start: Start, scripted: Scripted) -> None:
    """A stop with the id of a message in another session has no effect; invalid stops are ignored."""
    scripted.plays = [hang]
    await start(SCRIPTED)
    asked, other = turn(chatbot_id="bot"), turn(chatbot_id="bot")
    bus.deliver("turns.bot", body(asked))
    bus.deliver("turns.bot", body(other))
    await until(lambda: len(bus.deltas()) == 2)
    bus.deliver("control.chatbot_worker", b"\xff")
    bus.deliver("control.chatbot_worker", body(asked))
    bus.stop(asked.replace(session_id=uuid4()))
    bus.stop(other)
    await until(bus.finished)
    assert [finish.message_id for finish in bus.finished()] == [other.message_id]


@pytest.mark.parametrize("toml", [SCRIPTED, INSTANT.replace('"echo"\nname', '"bot"\nname')])
async def test_a_stop_may_come_before_its_turn(bus: FakeBus, start: Start, scripted: Scripted, toml: str) -> None:
    """It is remembered: the turn ends at once, empty, and its chatbot never hears of it; the next one is answered."""

    async def echoes(asked: Turn) -> AsyncIterator[str]:
        yield asked.unanswered[0].content

    scripted.plays = [echoes]
    await start(toml)
    asked = turn(chatbot_id="bot")
    bus.stop(asked)
    await until(lambda: bus.subscriptions["control.chatbot_worker"].acked)
    tag = bus.deliver("turns.bot", body(asked, turn("next", chatbot_id="bot")))
    await until(lambda: bus.subscriptions["turns.bot"].acked == [tag])
    assert sorted(ends(bus)) == [("complete", "next", None), ("stopped", "", None)]
    assert scripted.started == (toml is SCRIPTED)


async def test_a_turn_that_waits_for_others_is_stopped_too(bus: FakeBus, start: Start, scripted: Scripted) -> None:
    """It ends at once, though the chatbot is busy with another one."""
    scripted.plays = [hang]
    await start(SCRIPTED + "concurrency = 1\n")
    first, second = turn(chatbot_id="bot"), turn(chatbot_id="bot")
    bus.deliver("turns.bot", body(first))
    bus.deliver("turns.bot", body(second))
    await until(lambda: bus.typing() == [True, True])
    bus.stop(second)
    await until(bus.finished)
    assert [finish.message_id for finish in bus.finished()] == [second.message_id]
    assert ends(bus) == [("stopped", "", None)]
    bus.stop(first)
    await until(lambda: len(bus.finished()) == 2)


async def test_a_turn_between_two_attempts_is_stopped_with_what_was_shown(
    bus: FakeBus, start: Start, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pause before the next try is no hiding place."""
    monkeypatch.setattr("chatbot_worker.turns.execution.RETRY_PAUSE", 60.0)
    scripted.plays = [breaks]
    await start(SCRIPTED)
    asked = turn(chatbot_id="bot")
    bus.deliver("turns.bot", body(asked))
    await until(lambda: scripted.closed)
    bus.stop(asked)
    await until(bus.finished)
    assert ends(bus) == [("stopped", "so f", None)]


async def test_chatbot_that_ignores_its_cancellation_is_abandoned(
    bus: FakeBus, start: Start, scripted: Scripted
) -> None:
    """Its turn ends in time, and later text is not published."""
    go = asyncio.Event()

    async def stubborn(_turn: Turn) -> AsyncIterator[str]:
        yield "so far"
        while not go.is_set():
            try:
                await pause(60, "the chatbot works until it is cancelled")
            except asyncio.CancelledError:
                await go.wait()
        yield " and on"

    scripted.plays = [stubborn]
    await start(SCRIPTED)
    asked: RunTurn = turn(chatbot_id="bot")
    bus.deliver("turns.bot", body(asked))
    await until(bus.deltas)
    bus.stop(asked)
    await until(bus.finished)
    assert ends(bus) == [("stopped", "so far", None)]
    go.set()
    await until(lambda: scripted.closed)
    assert "".join(delta.text for delta in bus.deltas() if not delta.snapshot) == "so far"

"""A worker that stops: short replies end, and all remaining turns are requeued."""

from __future__ import annotations

import pytest

from chatbot_worker.turns import turn_loop
from shared.contracts.turns import RunTurn
from tests.integration.chatbot_worker.conftest import Start, body, turn
from tests.integration.chatbot_worker.fake_bus import FakeBus
from tests.integration.chatbot_worker.scripted import ECHO, SCRIPTED, Scripted, hang
from tests.support.waiting import until


async def test_drain_finishes_short_replies_and_requeues_other_turns(
    bus: FakeBus, start: Start, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more turns are taken; a hanging turn is published again with a higher number of starts, then acked."""
    monkeypatch.setattr(turn_loop, "GRACE", 2.0)  # twenty times what the reply takes on an idle machine
    service = await start(SCRIPTED + ECHO)
    scripted.plays = [hang]
    hanging = turn(chatbot_id="bot", starts=2)
    bus.deliver("turns.bot", body(hanging))
    bus.open = [True]
    echoed = bus.deliver("turns.echo", body(turn("a b c d")))
    await until(lambda: bus.deltas() and scripted.started)
    assert service.drain is not None
    await service.drain()
    (finish,) = bus.finished()
    assert finish.content == "a b c d"
    assert bus.subscriptions["turns.echo"].acked == [echoed]
    ((exchange, key, event),) = [p for p in bus.published if isinstance(p[2].data, RunTurn)]
    assert (exchange, key) == ("chat.turns", "bot")
    assert event.data == hanging.replace(again=True, starts=3)
    assert len(bus.subscriptions["turns.bot"].acked) == 1
    assert scripted.closed == 1
    assert all(s.closed for queue, s in bus.subscriptions.items() if queue.startswith("turns."))


async def test_turn_that_cannot_be_requeued_is_not_acked(
    bus: FakeBus, start: Start, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the broker away at the stop the turn stays on its queue."""
    monkeypatch.setattr(turn_loop, "GRACE", 0.05)
    service = await start(SCRIPTED)
    scripted.plays = [hang]
    bus.deliver("turns.bot", body(turn(chatbot_id="bot")))
    await until(lambda: scripted.started)
    bus.refused = 1_000
    assert service.drain is not None
    await service.drain()
    assert bus.subscriptions["turns.bot"].acked == []
    assert bus.subscriptions["turns.bot"].closed

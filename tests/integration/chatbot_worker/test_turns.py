"""The turn loop: what it takes, what it says, what it acks and when."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from shared.contracts.topology import log
from shared.runtime.service import Service
from tests.integration.chatbot_worker.conftest import body, turn, until
from tests.integration.chatbot_worker.fake_bus import FakeBus

Start = Callable[[str], Awaitable[Service]]

ECHO = """
[[chatbots]]
id = "echo"
name = "Echo"
kind = "echo"
delta_interval = 0
"""
INSTANT = ECHO + "options = {delay = 0}\n"


async def test_a_reply_is_streamed_then_stored_then_acked(bus: FakeBus, start: Start) -> None:
    """Typing, the pieces in order, typing no more, the whole reply under the turn's id, and only then the ack."""
    await start(ECHO)
    asked = turn("one two  three")
    tag = bus.deliver("turns.echo", body(asked))
    await until(lambda: bus.subscriptions["turns.echo"].acked == [tag])
    assert [(d.offset, d.text, d.snapshot) for d in bus.deltas()] == [
        (0, "one ", False),
        (4, "two  ", False),
        (9, "three", False),
    ]
    assert bus.typing() == [True, False]
    finish = bus.finished()[0]
    assert (finish.message_id, finish.content, finish.status) == (asked.message_id, "one two  three", "complete")
    assert {d.attempt for d in bus.deltas()} == {finish.attempt}
    assert 1000 <= finish.attempt < 2000
    exchange, key, event = next(each for each in bus.published if each[2].data is finish)
    assert (exchange, key) == (log(4).name, str(asked.session_id.int % 4))
    assert event.subject == str(asked.session_id)
    assert {key for _, key, _ in bus.streamed} == {f"s.{asked.session_id.int % 4}"}


async def test_an_instant_chatbot_does_not_type(bus: FakeBus, start: Start) -> None:
    """Without pauses there is nothing to wait for, so nobody is told that somebody types."""
    await start(INSTANT)
    tag = bus.deliver("turns.echo", body(turn("a b")))
    await until(lambda: bus.subscriptions["turns.echo"].acked == [tag])
    assert bus.typing() == []
    assert [d.text for d in bus.deltas()] == ["a ", "b"]

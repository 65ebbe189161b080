"""A chatbot that cannot answer: its circuit opens, and another one answers in its place, saying so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from chatbot_worker.chatbots.protocol import ReplyError, Turn
from tests.integration.chatbot_worker.conftest import Start, body, turn
from tests.integration.chatbot_worker.fake_bus import FakeBus
from tests.integration.chatbot_worker.scripted import SCRIPTED, Scripted, breaks, hello
from tests.support.waiting import until

ELIZA = '[[chatbots]]\nid = "liz"\nname = "Liz"\nkind = "echo"\noptions = {delay = 0}\n'
NOTICE = "(Liz answers for Bot, which is not available.)\n\n"


async def dies(_turn: Turn) -> AsyncIterator[str]:
    raise ConnectionError
    yield ""


async def refuses(_turn: Turn) -> AsyncIterator[str]:
    raise ReplyError("status 400", retryable=False)
    yield ""


async def ask(bus: FakeBus, content: str = "hello") -> tuple[str, str, str]:
    """One turn of `bot`: status, content and error code of its end."""
    acked = len(bus.subscriptions["turns.bot"].acked)
    bus.deliver("turns.bot", body(turn(content, chatbot_id="bot")))
    await until(lambda: len(bus.subscriptions["turns.bot"].acked) > acked)
    finish = bus.finished()[-1]
    assert finish.chatbot_id == "bot"
    return finish.status, finish.content, finish.error.code if finish.error else ""


async def test_the_fallback_answers_and_says_so(bus: FakeBus, start: Start, scripted: Scripted) -> None:
    """When all tries failed; soon, when the circuit is open, without a try; its text streams like any other."""
    scripted.plays = [dies]
    await start(SCRIPTED + 'fallback = "liz"\ncircuit = {failures = 4, pause = 100}\n' + ELIZA)
    assert await ask(bus, "one") == ("complete", NOTICE + "one", "")
    assert scripted.started == 3
    assert await ask(bus, "two") == ("complete", NOTICE + "two", "")
    assert scripted.started == 4
    assert await ask(bus, "three") == ("complete", NOTICE + "three", "")
    assert scripted.started == 4
    assert "".join(delta.text for delta in bus.deltas() if not delta.snapshot).startswith(NOTICE + "one")
    assert {delta.chatbot_id for delta in bus.deltas()} == {"bot"}
    assert bus.typing() == [True, False] * 3


async def test_a_probe_closes_the_circuit(bus: FakeBus, start: Start, scripted: Scripted) -> None:
    """After the pause one turn tries again; the provider is back, and all is as it was."""
    scripted.plays = [dies, dies, dies, hello]
    await start(SCRIPTED + 'fallback = "liz"\ncircuit = {failures = 3, pause = 0.05}\n' + ELIZA)
    answers = [await ask(bus)]
    while answers[-1][1] != "hello":
        answers.append(await ask(bus))
    assert set(answers[:-1]) == {("complete", NOTICE + "hello", "")}
    assert scripted.started == 4


@pytest.mark.parametrize(
    ("play", "end", "started"),
    [
        (dies, ("failed", "", "chatbot_unavailable"), 3),
        (refuses, ("failed", "", "chatbot_failed"), 8),
    ],
)
async def test_without_a_fallback_it_fails_at_once(
    bus: FakeBus,
    start: Start,
    scripted: Scripted,
    play: Callable[[Turn], AsyncIterator[str]],
    end: tuple[str, str, str],
    started: int,
) -> None:
    """With an open circuit turns fail at once; refused turns do not open the circuit."""
    scripted.plays = [play]
    await start(SCRIPTED + "circuit = {failures = 3, pause = 100}\n")
    for _ in range(7):
        await ask(bus)
    if play is refuses:
        assert await ask(bus) == end
    else:
        assert await ask(bus) == end
    assert scripted.started == started


@pytest.mark.parametrize(("play", "content"), [(refuses, ""), (breaks, "so f")])
async def test_fallback_does_not_answer_refused_or_shown_replies(
    bus: FakeBus, start: Start, scripted: Scripted, play: Callable[[Turn], AsyncIterator[str]], content: str
) -> None:
    """A turn that is refused is not taken elsewhere; text that was shown is kept."""
    scripted.plays = [play]
    await start(SCRIPTED + 'fallback = "liz"\n' + ELIZA)
    assert await ask(bus) == ("failed", content, "chatbot_failed")


async def test_turn_fails_if_its_fallback_fails(bus: FakeBus, start: Start, scripted: Scripted) -> None:
    """Then the turn fails, with nothing but the error; the fallback's own fallback is not asked."""
    scripted.plays = [dies]
    other = SCRIPTED.replace('"bot"', '"other"') + 'fallback = "bot"\n'
    await start(SCRIPTED + 'fallback = "other"\n' + other)
    assert await ask(bus) == ("failed", "", "chatbot_failed")
    assert scripted.started == 4

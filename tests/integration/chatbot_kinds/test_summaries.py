"""What a language model is not shown any more it sums up for itself: after the reply, over the log, into its next turns."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest

from shared.contracts.commands import SummarizeSession
from shared.contracts.turns import ContextMessage, RunTurn, Summary
from tests.integration.chatbot_kinds.test_misbehaving import STOP, says, scripted
from tests.integration.chatbot_worker.conftest import Start, body, turn
from tests.integration.chatbot_worker.fake_bus import FakeBus
from tests.support.client import Device, new_account
from tests.support.model_server import Answer, Asked, Wire
from tests.support.stack import EmbeddedStack
from tests.support.waiting import until

NOTES = "Ada likes oolong."


def catalogue(wire: Wire) -> str:
    return (
        '[[chatbots]]\nid = "bot"\nname = "Bot"\nkind = "openai"\ncontext = {messages = 4, summary = true}\n'
        "limits = {first_token = 30, between_tokens = 30, total = 50, attempts = 1}\n"
        f'options = {{base_url = "{wire.url}/v1", model = "m"}}\n'
    )


def asks_for_notes(asked: Asked) -> bool:
    return "take notes" in asked.json()["messages"][0]["content"]


def said(asked: Asked) -> str:
    return "\n".join(message["content"] for message in asked.json()["messages"])


def long_turn(summary: Summary | None = None) -> RunTurn:
    """Eight earlier messages, with the numbers 1 to 8, and a question."""
    asked = turn("What now?", chatbot_id="bot")
    earlier = [
        ContextMessage(id=uuid4(), sender_type="user", sender_id="ada", content=f"fact {n}", unanswered=False, seq=n)
        for n in range(1, 9)
    ]
    question = asked.context[0].replace(seq=9)
    return asked.replace(context=[*earlier, question], as_of=9, summary=summary)


def summaries(bus: FakeBus) -> list[SummarizeSession]:
    return [event.data for _, _, event in bus.published if isinstance(event.data, SummarizeSession)]


async def test_a_summary_is_made_after_the_reply(bus: FakeBus, start: Start, wire: Wire) -> None:
    """The reply is published and its turn acked while the model writes the summary of the messages outside its window."""
    go = asyncio.Event()

    async def script(asked: Asked, answer: Answer) -> None:
        if asks_for_notes(asked):
            await go.wait()
            await scripted(says(NOTES), STOP)(asked, answer)
        else:
            await scripted(says("That."), STOP)(asked, answer)

    wire.script = script
    await start(catalogue(wire))
    await until(bus.announced)
    assert bus.announced()[0].chatbots[0].context.messages == 8
    asked = long_turn()
    bus.deliver("turns.bot", body(asked))
    await until(lambda: bus.subscriptions["turns.bot"].acked and len(wire.asked) == 2)
    assert [finish.content for finish in bus.finished()] == ["That."]
    assert [f"fact {n}" in said(wire.asked[0]) for n in range(1, 9)] == [False] * 4 + [True] * 4
    assert [f"> ada: fact {n}" in said(wire.asked[1]) for n in range(1, 9)] == [True] * 4 + [False] * 4
    go.set()
    await until(lambda: summaries(bus))
    [kept] = summaries(bus)
    assert (kept.session_id, kept.up_to_seq, kept.as_of, kept.text) == (asked.session_id, 4, 9, NOTES)

    bus.deliver("turns.bot", body(long_turn(Summary(up_to_seq=2, text=NOTES))))
    await until(lambda: len(summaries(bus)) == 2)
    assert f"> {NOTES}" in said(wire.asked[2])
    assert [f"> ada: fact {n}" in said(wire.asked[3]) for n in range(1, 9)] == [False] * 2 + [True] * 2 + [False] * 4
    assert f"> {NOTES}" in said(wire.asked[3])


async def test_a_model_that_fails_at_notes_still_answers(bus: FakeBus, start: Start, wire: Wire) -> None:
    """Nothing is kept, nothing is held against it, and the next turn tries again."""

    async def script(asked: Asked, answer: Answer) -> None:
        if not asks_for_notes(asked):
            await scripted(says("That."), STOP)(asked, answer)

    wire.script = script
    await start(catalogue(wire))
    for number in range(1, 4):
        bus.deliver("turns.bot", body(long_turn()))
        await until(lambda now=number: sum(map(asks_for_notes, wire.asked)) == now)
        await until(lambda: not wire.open)
    assert [finish.status for finish in bus.finished()] == ["complete"] * 3
    assert summaries(bus) == []


async def test_a_worker_that_stops_waits_for_no_notes(bus: FakeBus, start: Start, wire: Wire) -> None:
    """They are given up, and the model is rid of us."""

    async def script(asked: Asked, answer: Answer) -> None:
        await (answer.hang() if asks_for_notes(asked) else scripted(says("That."), STOP)(asked, answer))

    wire.script = script
    service = await start(catalogue(wire))
    bus.deliver("turns.bot", body(long_turn()))
    await until(lambda: sum(map(asks_for_notes, wire.asked)) == 1)
    assert service.drain is not None
    await service.drain()
    await until(lambda: not wire.open)
    assert summaries(bus) == []


@pytest.mark.timeout(200)
async def test_in_the_whole_system_it_outlives_the_window(tmp_path: Path, wire: Wire) -> None:
    """Stored with the session: a fact that left the window long ago reaches the model as a note."""

    async def script(asked: Asked, answer: Answer) -> None:
        words = NOTES if asks_for_notes(asked) else "I see."
        await scripted(says(words), STOP)(asked, answer)

    wire.script = script
    chatbots = tmp_path / "chatbots.toml"
    chatbots.write_text(catalogue(wire))
    stack = EmbeddedStack(tmp_path, {"CHATBOTS": str(chatbots)})
    try:
        await stack.start()
        account = await new_account(stack.auth_url)
        async with Device(stack.gateway_urls[0], account.token) as device:
            session = await device.start_chat("bot")
            for number in range(20):
                await device.reply_to(await device.send(session, f"fact {number}"))
        replies = [said(asked) for asked in wire.asked if not asks_for_notes(asked)]
        noted = [prompt for prompt in replies if f"> {NOTES}" in prompt]
        assert noted, "no note reached the model"
        assert all("fact 0" not in prompt for prompt in noted)
        await stack.stop()
    finally:
        stack.close()

"""Reasoning of a model: streamed apart from the answer, stored as a part, and never sent back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shared.contracts.views import REASONING_BYTES_MAX
from tests.integration.chatbot_kinds.conftest import Ask
from tests.integration.chatbot_kinds.test_misbehaving import entry
from tests.integration.chatbot_worker.fake_bus import FakeBus
from tests.support.client import PATIENCE, Device, new_account
from tests.support.model_answers import DONE, STOP, chunk, streams
from tests.support.model_server import Answer, Asked, Wire
from tests.support.stack import EmbeddedStack

ANSWERS = {
    "fields": streams(chunk(reasoning="I "), chunk(reasoning="think."), chunk("Hel"), chunk("lo."), STOP, DONE),
    "tags": streams(chunk("<think>I "), chunk("think.</think>\n\nHel"), chunk("lo."), STOP, DONE),
    "closing tag only": streams(chunk("I "), chunk("think."), chunk("</think>\n\nHello."), STOP, DONE),
}


@pytest.mark.parametrize("script", ANSWERS.values(), ids=ANSWERS)
async def test_reasoning_is_streamed_and_finished_apart_from_the_answer(
    ask: Ask, wire: Wire, bus: FakeBus, script
) -> None:
    wire.script = script
    reply = await ask(f"delta_interval = 0\n{entry(wire)}")
    assert (reply.status, reply.content, reply.reasoning) == ("complete", "Hello.", "I think.")
    for deltas, text in ((bus.deltas(), "Hello."), (bus.reasoning_deltas(), "I think.")):
        shown = ""
        for delta in deltas:
            assert (delta.message_id, delta.attempt) == (reply.message_id, reply.attempt)
            assert delta.snapshot or delta.offset == len(shown)
            shown = delta.text if delta.snapshot else shown + delta.text
        assert shown == text


@pytest.mark.parametrize("word", ["think ", "思", '\n"', "\N{THINKING FACE}"])
async def test_long_reasoning_is_cut_at_what_can_be_stored(ask: Ask, wire: Wire, word: str) -> None:
    """It does not end the reply."""
    wire.script = streams(*[chunk(reasoning=word * 1_000)] * 80, chunk("Hello."), STOP, DONE)
    reply = await ask(entry(wire))
    assert (reply.status, reply.content) == ("complete", "Hello.")
    assert REASONING_BYTES_MAX // 2 - 10 < len(reply.reasoning.encode()) <= REASONING_BYTES_MAX


@pytest.mark.timeout(120)
async def test_whole_system_shows_reasoning_and_sends_none_of_it_to_the_model(tmp_path: Path, wire: Wire) -> None:
    """A device that joins during the reasoning gets it; the history has it as a part; search does not find it."""
    go_on = asyncio.Event()

    async def script(asked: Asked, answer: Answer) -> None:
        await answer.head()
        await answer.event(chunk(reasoning="Ponderous thoughts."))
        await go_on.wait()
        for event in (chunk("Hello."), STOP, DONE):
            await answer.event(event)

    wire.script = script
    chatbots = tmp_path / "chatbots.toml"
    chatbots.write_text(f'[[chatbots]]\nid = "bot"\nname = "Bot"\n{entry(wire)}')
    stack = EmbeddedStack(tmp_path, {"CHATBOTS": str(chatbots)})
    try:
        await stack.start()
        account = await new_account(stack.auth_url)
        url = stack.gateway_urls[0]
        async with Device(url, account.token) as device, Device(url, account.token) as late:
            session = await device.start_chat("bot")
            message_id = await device.send(session, "Hi!")
            delta = await device.until("reasoning_delta")
            async with asyncio.timeout(PATIENCE):
                joined = await late.ok("join_chat", session_id=session["id"])
            [active] = joined["active_replies"]
            assert (active["text"], active["reasoning"]) == ("", "Ponderous thoughts.")
            assert (delta["text"], delta["offset"], active["attempt"]) == ("Ponderous thoughts.", 0, delta["attempt"])
            again = await late.until("reasoning_delta", lambda delta: delta["snapshot"])
            assert again["text"] == "Ponderous thoughts."
            go_on.set()
            reply = await device.reply_to(message_id)
            assert reply["content"] == "Hello."
            assert reply["parts"] == [{"type": "reasoning", "text": "Ponderous thoughts."}]
            await device.reply_to(await device.send(session, "And now?"))
            history = await device.history(session)
            assert ["parts" in message for message in history] == [False, True, False, True]
            assert (await device.ok("search_messages", query="ponderous"))["hits"] == []
            [hit] = (await device.ok("search_messages", query="hello"))["hits"][:1]
            assert hit["message"]["parts"] == reply["parts"]
        assert len(wire.asked) == 2
        assert b"onderous" not in wire.asked[1].body
        assert b"Hello." in wire.asked[1].body
        await stack.stop()
    finally:
        stack.close()

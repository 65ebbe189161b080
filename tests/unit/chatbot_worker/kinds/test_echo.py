"""Echo says exactly what was said, and never takes long over it."""

from __future__ import annotations

import time
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot_worker.chatbots.protocol import Turn
from chatbot_worker.kinds.echo import Echo, EchoOptions
from chatbot_worker.kinds.pacing import PAUSES_MAX
from shared.contracts.turns import ContextMessage


def turn(*contents: str) -> Turn:
    messages = tuple(
        ContextMessage(id=uuid4(), sender_type="user", sender_id="ada", content=content, unanswered=True)
        for content in contents
    )
    return Turn(uuid4(), uuid4(), "echo", messages)


@given(st.lists(st.text(max_size=50), min_size=1, max_size=3))
async def test_the_pieces_join_to_exactly_what_was_said(contents: list[str]) -> None:
    """White space and all, several messages one a line."""
    pieces = [piece async for piece in Echo(EchoOptions(delay=0)).reply(turn(*contents))]
    assert "".join(pieces) == "\n".join(contents)
    assert all(pieces)


async def test_only_unanswered_messages_are_echoed() -> None:
    """What was answered is past."""
    asked = turn("old", "new")
    asked = Turn(
        asked.session_id,
        asked.message_id,
        "echo",
        (asked.context[0].replace(unanswered=False), asked.context[1]),
    )
    assert [piece async for piece in Echo(EchoOptions(delay=0)).reply(asked)] == ["new"]


@pytest.mark.parametrize("delay", [0.01, 1.0])
async def test_a_long_text_does_not_take_longer_than_its_pauses_may(
    delay: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its words share pauses."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("chatbot_worker.kinds.pacing.asyncio.sleep", sleep)
    text = "word " * 3_000
    pieces = [piece async for piece in Echo(EchoOptions(delay=delay)).reply(turn(text))]
    assert "".join(pieces) == text
    assert 0 < sum(slept) <= PAUSES_MAX


@pytest.mark.parametrize("text", ["word " * 3_200, "x" * 16_000, " " * 16_000, "\u3000a" * 8_000])
async def test_the_longest_message_does_not_hold_the_loop(text: str) -> None:
    """16,000 characters in far less than 50 ms."""

    async def taken() -> float:
        began = time.thread_time()  # CPU time of this thread, without that of other processes
        assert "".join([piece async for piece in Echo(EchoOptions(delay=0)).reply(turn(text))]) == text
        return time.thread_time() - began

    assert min([await taken() for _ in range(3)]) < 0.05  # one may meet a full collection of the whole run's garbage

"""The attempts of one turn: limits, retries and failures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from chatbot_worker.chatbots.protocol import ReplyError, Turn
from chatbot_worker.rules.attempts import CRASHES_MAX
from shared.contracts.views import REPLY_CONTENT_MAX
from tests.integration.chatbot_worker.conftest import Start, body, turn
from tests.integration.chatbot_worker.fake_bus import FakeBus
from tests.integration.chatbot_worker.scripted import (
    SCRIPTED,
    Scripted,
    breaks,
    flood,
    hang,
    hello,
    never,
    nothing,
    raises_cancelled,
)
from tests.support.waiting import until


@pytest.mark.parametrize(
    ("play", "limits", "content"),
    [
        (never, "first_token = 0.05, attempts = 1", ""),
        (hang, "between_tokens = 0.05, attempts = 1", "so far"),
        (hang, "total = 0.05", "so far"),
    ],
)
async def test_reply_over_a_time_limit_fails(
    bus: FakeBus,
    start: Start,
    scripted: Scripted,
    play: Callable[[Turn], AsyncIterator[str]],
    limits: str,
    content: str,
) -> None:
    """Each limit ends the turn: the text so far is kept, the chatbot is closed, and `typing` ends."""
    scripted.plays = [play]
    await start(SCRIPTED + f"limits = {{{limits}}}\n")
    bus.deliver("turns.bot", body(turn(chatbot_id="bot")))
    await until(lambda: bus.subscriptions["turns.bot"].acked)
    (finish,) = bus.finished()
    assert (finish.status, finish.content) == ("failed", content)
    assert finish.error is not None
    assert finish.error.code == "timeout"
    assert (scripted.started, scripted.closed) == (1, 1)
    assert bus.typing() == [True, False]


@pytest.mark.parametrize("play", [never, hang])
async def test_a_chatbot_that_hangs_is_tried_again(
    bus: FakeBus, start: Start, scripted: Scripted, play: Callable[[Turn], AsyncIterator[str]]
) -> None:
    """A hanging chatbot is tried again, with or without text; the limit of the whole reply applies to all tries."""
    scripted.plays = [play, hello]
    await start(SCRIPTED + "limits = {first_token = 0.1, between_tokens = 0.1}\n")
    bus.deliver("turns.bot", body(turn(chatbot_id="bot")))
    await until(lambda: bus.subscriptions["turns.bot"].acked)
    assert [(f.status, f.content) for f in bus.finished()] == [("complete", "hello")]
    assert (scripted.started, scripted.closed) == (2, 2)


@pytest.mark.parametrize(
    ("error", "started"),
    [(ReplyError("status 400", retryable=False), 1), (ReplyError("status 429", retry_after=99), 1)],
)
async def test_refused_turn_is_not_retried(
    bus: FakeBus, start: Start, scripted: Scripted, error: ReplyError, started: int
) -> None:
    """A turn that the provider refuses; one that it wants later than the reply may take."""

    async def refused(_turn: Turn) -> AsyncIterator[str]:
        raise error
        yield ""

    scripted.plays = [refused]
    await start(SCRIPTED + "limits = {total = 60}\n")
    bus.deliver("turns.bot", body(turn(chatbot_id="bot")))
    await until(lambda: bus.subscriptions["turns.bot"].acked)
    assert [f.status for f in bus.finished()] == ["failed"]
    assert scripted.started == started


def raises_at_once(_turn: Turn) -> AsyncIterator[str]:
    raise RuntimeError("the words of a person")


@pytest.mark.parametrize("breaking", [breaks, raises_cancelled])
async def test_a_chatbot_that_breaks_is_tried_again(
    bus: FakeBus,
    start: Start,
    scripted: Scripted,
    breaking: Callable[[Turn], AsyncIterator[str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A retry has a higher attempt and starts the text again; the error's message is not logged."""
    scripted.plays = [breaking, hello]
    await start(SCRIPTED)
    bus.deliver("turns.bot", body(turn(chatbot_id="bot")))
    await until(lambda: bus.subscriptions["turns.bot"].acked)
    (finish,) = bus.finished()
    assert (finish.status, finish.content) == ("complete", "hello")
    first, second = bus.deltas()
    assert (first.text, second.text, second.offset) == ("so f", "hello", 0)
    assert first.attempt < second.attempt == finish.attempt
    assert "the words of a person" not in caplog.text


async def test_a_chatbot_that_only_breaks_fails_the_turn(bus: FakeBus, start: Start, scripted: Scripted) -> None:
    """After as many attempts as it has."""
    scripted.plays = [breaks]
    await start(SCRIPTED + "limits = {attempts = 2}\n")
    bus.deliver("turns.bot", body(turn(chatbot_id="bot")))
    await until(lambda: bus.subscriptions["turns.bot"].acked)
    (finish,) = bus.finished()
    assert (finish.status, finish.content, scripted.started) == ("failed", "so f", 2)
    assert finish.error is not None
    assert finish.error.code == "chatbot_failed"


async def test_a_chatbot_that_does_not_even_begin_fails_the_turn(
    bus: FakeBus, start: Start, scripted: Scripted
) -> None:
    """Not the worker."""
    scripted.plays = [raises_at_once]
    await start(SCRIPTED)
    bus.deliver("turns.bot", body(turn(chatbot_id="bot")))
    await until(lambda: bus.subscriptions["turns.bot"].acked)
    assert [f.status for f in bus.finished()] == ["failed"]
    assert scripted.started == 3


@pytest.mark.parametrize(
    ("play", "status", "code", "length"),
    [(flood, "stopped", "too_long", REPLY_CONTENT_MAX), (nothing, "failed", "empty_reply", 0)],
)
async def test_endless_reply_is_cut_and_empty_reply_fails(
    bus: FakeBus,
    start: Start,
    scripted: Scripted,
    play: Callable[[Turn], AsyncIterator[str]],
    status: str,
    code: str,
    length: int,
) -> None:
    """Endless is cut and the chatbot closed; empty is a failure, not silence."""
    scripted.plays = [play]
    await start(SCRIPTED)
    bus.deliver("turns.bot", body(turn(chatbot_id="bot")))
    await until(lambda: bus.subscriptions["turns.bot"].acked)
    (finish,) = bus.finished()
    assert finish.error is not None
    assert (finish.status, finish.error.code, len(finish.content)) == (status, code, length)
    assert scripted.closed == 1


async def test_turn_fails_after_too_many_deliveries_without_an_ack(
    bus: FakeBus, start: Start, scripted: Scripted
) -> None:
    """It was delivered again and again and never acked: it fails without another start."""
    scripted.plays = [hello]
    await start(SCRIPTED)
    bus.open = [True]
    bus.deliver("turns.bot", body(turn(chatbot_id="bot")), delivery_count=CRASHES_MAX)
    await until(lambda: bus.subscriptions["turns.bot"].acked)
    assert [(f.status, f.error.code if f.error else "") for f in bus.finished()] == [("failed", "chatbot_failed")]
    assert scripted.started == 0

"""Contexts: the unanswered messages, and earlier ones as far as the chatbot wants them, in 128 KiB."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.contracts.turns import CONTEXT_BYTES_MAX
from tests.contract.store.harness import StoreHarness
from tests.support.commands import NOON, card, finish, received, send


async def test_context_has_as_many_earlier_messages_as_the_chatbot_wants(store: StoreHarness) -> None:
    """The newest ones, ascending, before the unanswered one."""
    await store.announce([card("eliza", messages=3)], NOON + timedelta(hours=1))
    session_id = await store.session()
    for n in range(4):
        await store.turn(session_id, f"question {n}", f"answer {n}")
    await store.apply(send(session_id, "last"))
    assert [(m.content, m.unanswered) for m in store.turns[0].context] == [
        ("answer 2", False),
        ("question 3", False),
        ("answer 3", False),
        ("last", True),
    ]


async def test_wanted_bytes_are_counted_in_utf8(store: StoreHarness) -> None:
    """The first earlier message that does not fit ends the context."""
    await store.announce([card("eliza", messages=9, size=10)], NOON + timedelta(hours=1))
    session_id = await store.session()
    await store.turn(session_id, "äöü", "12345")
    await store.apply(send(session_id, "last"))
    assert [m.content for m in store.turns[0].context] == ["12345", "last"]


async def test_contexts_of_one_batch_are_not_mixed_up(store: StoreHarness) -> None:
    """One statement reads all of them."""
    await store.announce([card("eliza")], NOON + timedelta(hours=1))
    ids = [await store.session() for _ in range(5)]
    for n, session_id in enumerate(ids):
        for m in range(n):
            await store.turn(session_id, f"{n}.{m}", f"re {n}.{m}")
    await store.apply(*(send(session_id, f"new {n}") for n, session_id in enumerate(ids)))
    for n, (session_id, turn) in enumerate(zip(ids, store.turns, strict=True)):
        assert turn.session_id == session_id
        expected = [word for m in range(n) for word in (f"{n}.{m}", f"re {n}.{m}")]
        assert [m.content for m in turn.context] == [*expected, f"new {n}"]


@pytest.mark.parametrize("content", ["x" * 16_000, "\x01" * 16_000, "😀" * 16_000])
async def test_turn_never_exceeds_128_kib(store: StoreHarness, content: str) -> None:
    """The oldest earlier messages are dropped first, then the oldest unanswered ones."""
    await store.announce([card("eliza", messages=200, size=10**9)], NOON + timedelta(hours=1))
    session_id = await store.session()
    await store.apply(send(session_id, "first"))
    [turn] = store.turns
    await store.apply(*(send(session_id, content) for _ in range(20)))
    await store.apply(send(session_id, "newest"))
    await store.apply(finish(turn, "reply"))
    [turn] = store.turns
    assert len(turn.to_json()) <= CONTEXT_BYTES_MAX
    assert turn.context[-1].content == "newest"
    assert all(m.unanswered for m in turn.context)


async def test_republished_turn_has_the_same_context(store: StoreHarness) -> None:
    """Without the messages that wait for the next turn."""
    session_id = await store.session(chatbot_ids=["eliza"])
    await store.turn(session_id, "one", "re one")
    await store.apply(message := send(session_id, "two"))
    [turn] = store.turns
    await store.apply(send(session_id, "three"))
    await store.apply_received(received(message, redelivered=True))
    [again] = store.turns
    assert again.again
    assert again.context == turn.context
    assert again.reply_to == turn.reply_to


async def test_thousand_waiting_messages_are_answered_by_one_bounded_turn(store: StoreHarness) -> None:
    """It has the newest of them."""
    session_id = await store.session(chatbot_ids=["eliza"])
    await store.apply(send(session_id, "first"))
    [turn] = store.turns
    for _ in range(4):
        await store.apply(*(send(session_id, "more") for _ in range(400)))
    await store.apply(finish(turn))
    [turn] = store.turns
    assert len(turn.to_json()) <= CONTEXT_BYTES_MAX
    assert sum(m.unanswered for m in turn.context) > 200

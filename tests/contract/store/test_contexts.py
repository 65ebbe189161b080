"""What a turn carries: the unanswered messages and as much before them as the chatbot wants, in 128 KiB."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.contracts.turns import CONTEXT_BYTES_MAX
from tests.contract.store.desk import NOON, Desk, card, finish, order, send


async def test_earlier_messages_as_the_chatbot_wants_them(desk: Desk) -> None:
    """The newest so many, ascending, before the unanswered one."""
    await desk.announce([card("eliza", messages=3)], NOON + timedelta(hours=1))
    session_id = await desk.session()
    for n in range(4):
        await desk.turn(session_id, f"question {n}", f"answer {n}")
    await desk.apply(send(session_id, "last"))
    assert [(m.content, m.unanswered) for m in desk.turns[0].context] == [
        ("answer 2", False),
        ("question 3", False),
        ("answer 3", False),
        ("last", True),
    ]


async def test_bytes_count_in_utf8(desk: Desk) -> None:
    """An earlier message that does not fit ends it."""
    await desk.announce([card("eliza", messages=9, size=10)], NOON + timedelta(hours=1))
    session_id = await desk.session()
    await desk.turn(session_id, "äöü", "12345")
    await desk.apply(send(session_id, "last"))
    assert [m.content for m in desk.turns[0].context] == ["12345", "last"]


async def test_many_sessions_in_one_batch_keep_their_own(desk: Desk) -> None:
    """One statement for all contexts mixes nothing up."""
    await desk.announce([card("eliza")], NOON + timedelta(hours=1))
    ids = [await desk.session() for _ in range(5)]
    for n, session_id in enumerate(ids):
        for m in range(n):
            await desk.turn(session_id, f"{n}.{m}", f"re {n}.{m}")
    await desk.apply(*(send(session_id, f"new {n}") for n, session_id in enumerate(ids)))
    for n, (session_id, turn) in enumerate(zip(ids, desk.turns, strict=True)):
        assert turn.session_id == session_id
        expected = [word for m in range(n) for word in (f"{n}.{m}", f"re {n}.{m}")]
        assert [m.content for m in turn.context] == [*expected, f"new {n}"]


@pytest.mark.parametrize("content", ["x" * 16_000, "\x01" * 16_000, "😀" * 16_000])
async def test_never_over_128_kib(desk: Desk, content: str) -> None:
    """The oldest earlier ones go first, then the oldest unanswered ones; the newest always stays."""
    await desk.announce([card("eliza", messages=200, size=10**9)], NOON + timedelta(hours=1))
    session_id = await desk.session()
    await desk.apply(send(session_id, "first"))
    [turn] = desk.turns
    await desk.apply(*(send(session_id, content) for _ in range(20)))
    await desk.apply(send(session_id, "newest"))
    await desk.apply(finish(turn, "reply"))
    [turn] = desk.turns
    assert len(turn.model_dump_json()) <= CONTEXT_BYTES_MAX
    assert turn.context[-1].content == "newest"
    assert all(m.unanswered for m in turn.context)


async def test_a_turn_published_again_leaves_out_what_waits_for_the_next(desk: Desk) -> None:
    """The context is the same as the first time."""
    session_id = await desk.session(chatbot_ids=["eliza"])
    await desk.turn(session_id, "one", "re one")
    await desk.apply(message := send(session_id, "two"))
    [turn] = desk.turns
    await desk.apply(send(session_id, "three"))
    await desk.apply_orders(order(message, redelivered=True))
    [again] = desk.turns
    assert again.again
    assert again.context == turn.context
    assert again.reply_to == turn.reply_to


async def test_a_thousand_waiting_messages_end_in_one_bounded_turn(desk: Desk) -> None:
    """Without a worker messages pile up: the next turn still starts, and asks for the newest of them."""
    session_id = await desk.session(chatbot_ids=["eliza"])
    await desk.apply(send(session_id, "first"))
    [turn] = desk.turns
    for _ in range(4):
        await desk.apply(*(send(session_id, "more") for _ in range(400)))
    await desk.apply(finish(turn))
    [turn] = desk.turns
    assert len(turn.model_dump_json()) <= CONTEXT_BYTES_MAX
    assert sum(m.unanswered for m in turn.context) > 200

"""A whole turn: a message is stored and starts a turn, the reply is stored and closes it."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from tests.contract.store.harness import StoreHarness
from tests.support.commands import finish, send


async def test_message_reply_and_title_are_stored_and_published_once(store: StoreHarness) -> None:
    """With numbers 1, 2 and 3; deliveries before turns."""
    session_id = await store.session()
    assert [s.seq for s in store.updated] == [0]
    await store.apply(send(session_id, "hello there"))
    [turn] = store.turns
    assert store.published[-1][2].data is turn
    assert (turn.starts, turn.again, turn.chatbot_id) == (0, False, "echo")
    assert [(m.content, m.unanswered) for m in turn.context] == [("hello there", True)]
    await store.apply(finish(turn, "hello back"))
    [reply] = store.stored
    assert (reply.seq, reply.id, reply.reply_to) == (2, turn.message_id, turn.reply_to)
    [session] = store.updated
    assert (session.title, session.seq, session.last_seq) == ("hello there", 3, 3)
    joined = await store.join(session_id)
    assert [(m.seq, m.content) for m in joined.messages] == [(1, "hello there"), (2, "hello back")]
    assert (joined.last_seq, joined.has_more, joined.active) == (3, False, [])


async def test_messages_during_a_turn_are_answered_by_the_next_one(store: StoreHarness) -> None:
    """It starts in the transaction of the reply."""
    session_id = await store.session(chatbot_ids=["eliza"])
    await store.apply(send(session_id, "one"))
    [first] = store.turns
    await store.apply(send(session_id, "two"))
    assert store.turns == []
    await store.apply(send(session_id, "three"))
    waiting = store.stored[0]
    await store.apply(finish(first, "reply to one"))
    [second] = store.turns
    assert second.reply_to == waiting.id
    assert [(m.content, m.unanswered) for m in second.context] == [
        ("one", False),
        ("two", True),
        ("three", True),
        ("reply to one", False),
    ]


async def test_chatbot_that_only_another_worker_knows_gets_its_turn(engine: AsyncEngine, store: StoreHarness) -> None:
    """The catalogue is loaded again before a turn fails."""
    session_id = await store.session()
    successor = StoreHarness(engine)
    assert successor.catalogue.card("echo") is None
    await successor.apply(send(session_id, "hello"))
    assert [turn.chatbot_id for turn in successor.turns] == ["echo"]

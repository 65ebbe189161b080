"""The main job: a message is stored and asks for a reply, the reply is stored and ends the turn."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from tests.contract.store.desk import Desk, finish, send


async def test_a_whole_turn_is_stored_and_told(desk: Desk) -> None:
    """Seq 1 is the user's message, seq 2 the reply, seq 3 the title; each is told once, deliveries before turns."""
    session_id = await desk.session()
    assert [s.seq for s in desk.updated] == [0]
    await desk.apply(send(session_id, "hello there"))
    [turn] = desk.turns
    assert desk.told[-1][2].data is turn
    assert (turn.starts, turn.again, turn.chatbot_id) == (0, False, "echo")
    assert [(m.content, m.unanswered) for m in turn.context] == [("hello there", True)]
    await desk.apply(finish(turn, "hello back"))
    [reply] = desk.stored
    assert (reply.seq, reply.id, reply.reply_to) == (2, turn.message_id, turn.reply_to)
    [session] = desk.updated
    assert (session.title, session.seq, session.last_seq) == ("hello there", 3, 3)
    joined = await desk.join(session_id)
    assert [(m.seq, m.content) for m in joined.messages] == [(1, "hello there"), (2, "hello back")]
    assert (joined.last_seq, joined.has_more, joined.active) == (3, False, [])


async def test_what_arrives_meanwhile_is_answered_together(desk: Desk) -> None:
    """The next turn starts with the reply's own transaction and answers all that waited."""
    session_id = await desk.session(chatbot_ids=["eliza"])
    await desk.apply(send(session_id, "one"))
    [first] = desk.turns
    await desk.apply(send(session_id, "two"))
    assert desk.turns == []
    await desk.apply(send(session_id, "three"))
    waiting = desk.stored[0]
    await desk.apply(finish(first, "reply to one"))
    [second] = desk.turns
    assert second.reply_to == waiting.id
    assert [(m.content, m.unanswered) for m in second.context] == [
        ("one", False),
        ("two", True),
        ("three", True),
        ("reply to one", False),
    ]


async def test_a_chatbot_that_only_another_worker_has_heard_of_is_not_gone(engine: AsyncEngine, desk: Desk) -> None:
    """Whoever takes over may not know the newest catalogue yet: it looks before it says that nobody can answer."""
    session_id = await desk.session()
    successor = Desk(engine)
    assert successor.catalogue.card("echo") is None
    await successor.apply(send(session_id, "hello"))
    assert [turn.chatbot_id for turn in successor.turns] == ["echo"]

"""Replies that are stopped, regenerated and rated; chatbots that answer each other."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select

from persistence_worker.storage.tables import message_ratings
from shared.contracts.commands import (
    DeleteSession,
    RateReply,
    RegenerateReply,
    RemoveChatbot,
    SendMessage,
    StopReply,
)
from shared.contracts.payload import Payload, utc_now
from shared.contracts.turns import RunTurn, StopTurn
from shared.contracts.views import Message
from tests.contract.store.harness import StoreHarness, outcome
from tests.support.commands import card, finish, received, send


async def asked(
    store: StoreHarness, session_id: UUID, content: str = "hello", user: str = "ada"
) -> tuple[Message, RunTurn]:
    """Send a message; return it and the turn that it starts."""
    await store.apply(send(session_id, content, user))
    [turn] = store.turns
    return store.stored[0], turn


def seen(turn: RunTurn) -> list[tuple[str, bool]]:
    return [(message.content, message.unanswered) for message in turn.context]


async def test_stop_is_stored_with_the_turn_and_published(store: StoreHarness) -> None:
    """The chatbot worker stores the text so far; waiting messages are answered next; later stops change nothing."""
    session_id = await store.session("bob", title="t")
    _, turn = await asked(store, session_id)
    await store.apply(send(session_id, "waits"))
    assert await store.do(StopReply, session_id, "bob", message_id=turn.message_id) == {}
    assert [stop.message_id for stop in store.events(StopTurn)] == [turn.message_id]
    assert store.published[-1][0].name == "chat.control"
    await store.apply(finish(turn, "so f", status="stopped"))
    assert [(m.content, m.status) for m in store.stored] == [("so f", "stopped")]
    assert [seen(t)[-2:] for t in store.turns] == [[("waits", True)]]
    before = await store.join(session_id)
    assert await store.do(StopReply, session_id, message_id=turn.message_id) == {}
    assert store.published == []
    assert await store.join(session_id) == before


async def test_only_replies_of_the_session_are_found(store: StoreHarness) -> None:
    """Not unknown ids, users' messages, replies of other sessions, or sessions of other users."""
    session_id, other = await store.session(title="t"), await store.session(title="t")
    message, turn = await asked(store, session_id)
    await store.apply(finish(turn))
    kinds: list[tuple[type[Payload], dict[str, Any]]] = [
        (StopReply, {}),
        (RegenerateReply, {}),
        (RateReply, {"rating": 1, "comment": None}),
    ]
    for kind, more in kinds:
        for target in (uuid4(), message.id):
            assert await store.do(kind, session_id, message_id=target, **more) == "not_found"
        assert await store.do(kind, other, message_id=turn.message_id, **more) == "not_found"
        assert await store.do(kind, session_id, "eve", message_id=turn.message_id, **more) == "not_found"
    await store.do(DeleteSession, session_id)
    for kind, more in kinds:
        assert await store.do(kind, session_id, message_id=turn.message_id, **more) == "not_found"


async def test_stopped_turn_is_not_republished(store: StoreHarness) -> None:
    """Neither by a repeated message nor as overdue, because a worker would run it again."""
    session_id = await store.session()
    await store.apply(message := send(session_id))
    [turn] = store.turns
    await store.do(StopReply, session_id, message_id=turn.message_id)
    await store.apply_received(received(message, redelivered=True))
    assert store.turns == []
    soon = utc_now() + timedelta(hours=1)
    assert await store.database.write(lambda c: store.sessions.lock_overdue_turns(c, soon, 10)) == []


async def test_regenerated_reply_has_the_context_of_the_old_one(store: StoreHarness) -> None:
    """The old reply keeps its place and refers to its successor."""
    session_id = await store.session(chatbot_ids=["eliza"], title="t")
    await store.turn(session_id, "one", "first reply")
    [reply] = store.stored
    await store.turn(session_id, "two", "second reply")
    answered = await store.do(RegenerateReply, session_id, message_id=reply.id)
    [turn] = store.turns
    assert answered == {"message_id": str(turn.message_id)}
    assert (turn.reply_to, turn.starts, turn.again) == (reply.reply_to, 0, False)
    assert seen(turn) == [("one", True)]
    [old] = store.changed
    assert (old.id, old.seq, old.updated_seq, old.superseded_by) == (reply.id, 2, 5, turn.message_id)
    await store.apply(finish(turn, "better"))
    assert [(m.seq, m.id, m.content) for m in store.stored] == [(6, turn.message_id, "better")]
    assert await store.do(RegenerateReply, session_id, message_id=reply.id) == answered
    assert store.turns == store.changed == []
    _, later = await asked(store, session_id, "three")
    assert [m.content for m in later.context] == ["one", "two", "second reply", "better", "three"]


async def test_second_regeneration_supersedes_the_new_reply(store: StoreHarness) -> None:
    """With the same context; a redelivered command gets its first answer."""
    session_id = await store.session(chatbot_ids=["eliza"], title="t")
    await store.turn(session_id, "one", "first")
    [reply] = store.stored
    await store.do(RegenerateReply, session_id, message_id=reply.id)
    [second] = store.turns
    await store.apply(finish(second, "second"))
    command = received(RegenerateReply(session_id=session_id, user_id="ada", message_id=second.message_id))
    answered = outcome(await store.apply_received(command))
    [third] = store.turns
    assert seen(third) == [("one", True)]
    assert outcome(await store.apply_received(replace(command, redelivered=True))) == answered
    assert [(t.message_id, t.again) for t in store.turns] == [(third.message_id, True)]


async def test_busy_or_removed_chatbot_regenerates_nothing(store: StoreHarness) -> None:
    """Conflict, and the reply stays."""
    session_id = await store.session(chatbot_ids=["eliza"], title="t")
    await store.turn(session_id)
    [reply] = store.stored
    _, turn = await asked(store, session_id)
    for target in (reply.id, turn.message_id):
        assert await store.do(RegenerateReply, session_id, message_id=target) == "conflict"
    await store.apply(finish(turn))
    await store.announce([card("echo")], utc_now())
    assert await store.do(RegenerateReply, session_id, message_id=reply.id) == "conflict"
    await store.do(RemoveChatbot, session_id, chatbot_id="eliza")
    assert await store.do(RegenerateReply, session_id, message_id=reply.id) == "conflict"
    assert store.published == []


async def test_ratings_are_stored_until_withdrawn(store: StoreHarness) -> None:
    """One per member and reply; without an event or a number."""
    session_id = await store.session("bob", title="t")
    _, turn = await asked(store, session_id)
    await store.apply(finish(turn))
    for user, rating, comment in (("ada", 1, "good"), ("ada", -1, None), ("bob", 1, "fine"), ("bob", 0, None)):
        rated = await store.do(RateReply, session_id, user, message_id=turn.message_id, rating=rating, comment=comment)
        assert rated == {}
        assert store.published == []
    kept = select(message_ratings.c.user_id, message_ratings.c.rating, message_ratings.c.comment)
    rows = await store.database.read(lambda c: c.execute(kept).all())
    assert [tuple(row) for row in rows] == [("ada", -1, None)]


async def ping_pong(store: StoreHarness, session_id: UUID, command: SendMessage) -> list[str]:
    """Finish turns with replies that mention another chatbot until no turn is open; return who answered."""
    other = {"echo": "@eliza your turn", "eliza": "@echo your turn"}
    speakers: list[str] = []
    await store.apply(command)
    while store.turns and len(speakers) < 20:
        [turn] = store.turns
        speakers.append(turn.chatbot_id)
        await store.apply(finish(turn, other[turn.chatbot_id]))
    assert (await store.join(session_id)).active == []
    return speakers


async def test_chain_of_chatbots_ends_after_four_turns(store: StoreHarness) -> None:
    """The first of which answers a user; under `silent` there is none."""
    session_id = await store.session(chatbot_ids=["echo", "eliza"], title="t", reply_policy="round_robin")
    assert await ping_pong(store, session_id, send(session_id)) == ["echo", "eliza", "echo", "eliza"]
    assert await ping_pong(store, session_id, send(session_id)) == ["eliza", "echo", "eliza", "echo"]


async def test_chatbot_does_not_answer_its_own_or_a_stopped_reply(store: StoreHarness) -> None:
    """Nor does a mention of a user, or of a chatbot that does not take part, start a turn."""
    session_id = await store.session("bob", chatbot_ids=["echo"], title="t")
    for content, more in (("@echo @bob @eliza", {}), ("@eliza", {"status": "stopped"})):
        _, turn = await asked(store, session_id)
        await store.apply(finish(turn, content, **more))
        assert store.turns == []


async def test_busy_chatbot_answers_a_mention_with_its_next_turn(store: StoreHarness) -> None:
    """Together with users' messages, which start a new chain."""
    session_id = await store.session(chatbot_ids=["echo", "eliza"], title="t", reply_policy="all")
    await store.apply(send(session_id, "hello"))
    echo, eliza = sorted(store.turns, key=lambda turn: turn.chatbot_id)
    await store.apply(finish(echo, "@eliza what do you think?"))
    assert store.turns == []
    await store.apply(finish(eliza, "fine"))
    [turn] = store.turns
    assert (turn.chatbot_id, seen(turn)[-2:]) == ("eliza", [("@eliza what do you think?", True), ("fine", False)])


async def test_waiting_mention_keeps_its_depth(store: StoreHarness) -> None:
    session_id = await store.session(chatbot_ids=["echo", "eliza"], title="t", reply_policy="round_robin")
    _, echo = await asked(store, session_id)
    _, eliza = await asked(store, session_id)
    await store.apply(finish(echo, "@eliza"))
    speakers, content = [], "fine"
    turns = [eliza]
    while turns:
        [turn] = turns
        speakers.append(turn.chatbot_id)
        await store.apply(finish(turn, content))
        turns, content = store.turns, "@echo @eliza"
    assert speakers == ["eliza", "eliza", "echo", "eliza"]

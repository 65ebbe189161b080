"""Replies that are stopped, regenerated and rated; edited messages; chatbots that answer each other."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select

from persistence_worker.storage.tables import message_ratings
from shared.contracts.commands import (
    DeleteSession,
    EditMessage,
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


async def test_edited_message_is_answered_again(store: StoreHarness) -> None:
    """It keeps its place; its reply is superseded; the new turn has the new text and not the old reply."""
    session_id = await store.session(chatbot_ids=["eliza"], title="t")
    await store.turn(session_id, "before", "reply to before")
    message, first = await asked(store, session_id, "helo")
    await store.apply(finish(first, "what?"))
    assert await store.do(EditMessage, session_id, message_id=message.id, content="hello") == {}
    [turn] = store.turns
    assert [(m.id, m.seq, m.updated_seq, m.content, m.superseded_by) for m in store.changed] == [
        (message.id, 3, 5, "hello", None),
        (first.message_id, 4, 6, "what?", turn.message_id),
    ]
    assert seen(turn) == [("before", False), ("reply to before", False), ("hello", True)]
    assert turn.reply_to == message.id
    await store.apply(finish(turn, "hello yourself"))
    assert await store.do(EditMessage, session_id, message_id=message.id, content="hello") == {}
    assert store.published == []


async def test_edit_stops_the_open_turn(store: StoreHarness) -> None:
    """It is stored as stopped and superseded; waiting messages wait for the new turn."""
    session_id = await store.session("bob", chatbot_ids=["eliza"], title="t")
    message, first = await asked(store, session_id, "helo")
    await store.apply(send(session_id, "me too", "bob"))
    await store.do(EditMessage, session_id, message_id=message.id, content="hello")
    [turn] = store.turns
    assert [m.content for m in store.changed] == ["hello"]
    [cut] = store.stored
    assert (cut.id, cut.content, cut.status, cut.superseded_by) == (first.message_id, "", "stopped", turn.message_id)
    assert [stop.message_id for stop in store.events(StopTurn)] == [first.message_id]
    assert seen(turn) == [("hello", True)]
    await store.apply(finish(first, "too late"))
    assert store.stored == []
    await store.apply(finish(turn, "hello yourself"))
    assert [seen(t)[-2:] for t in store.turns] == [[("me too", True), ("hello yourself", False)]]


async def test_edit_is_answered_by_the_next_turn_of_a_busy_chatbot(store: StoreHarness) -> None:
    """The old reply refers to it; it answers the waiting messages too."""
    session_id = await store.session("bob", chatbot_ids=["eliza"], title="t")
    message, first = await asked(store, session_id, "helo")
    await store.apply(finish(first, "what?"))
    _, second = await asked(store, session_id, "me", "bob")
    await store.do(EditMessage, session_id, message_id=message.id, content="hello")
    assert store.turns == []
    [_, old] = store.changed
    await store.apply(send(session_id, "and me", "bob"))
    await store.apply(finish(second, "you"))
    [third] = store.turns
    assert third.message_id == old.superseded_by
    assert seen(third) == [("hello", True), ("me", False), ("and me", True), ("you", False)]
    await store.apply(finish(third, "hello both"))
    assert store.turns == []
    await store.apply(finish((await asked(store, session_id, "later"))[1]))
    await store.do(RegenerateReply, session_id, message_id=third.message_id)
    assert [t.context for t in store.turns] == [third.context]


async def test_reply_that_a_superseded_one_refers_to_is_stored_when_its_chatbot_is_removed(store: StoreHarness) -> None:
    """As stopped, like the open turn."""
    session_id = await store.session("bob", chatbot_ids=["eliza"], title="t")
    message, first = await asked(store, session_id, "helo")
    await store.apply(finish(first, "what?"))
    _, second = await asked(store, session_id, "me", "bob")
    await store.do(EditMessage, session_id, message_id=message.id, content="hello")
    [_, old] = store.changed
    await store.do(RemoveChatbot, session_id, chatbot_id="eliza")
    assert [(m.id, m.status, m.content) for m in store.stored] == [
        (second.message_id, "stopped", ""),
        (old.superseded_by, "stopped", ""),
    ]
    assert store.stored[1].reply_to == message.id
    assert store.turns == []
    assert (await store.join(session_id)).active == []
    assert await store.do(RegenerateReply, session_id, message_id=old.superseded_by) == "conflict"


async def test_edit_that_mentions_another_chatbot_is_answered_by_it(store: StoreHarness) -> None:
    """Under `mentioned`; the old reply is superseded by the new one."""
    session_id = await store.session(chatbot_ids=["echo", "eliza"], title="t")
    message, first = await asked(store, session_id, "@echo hello")
    await store.apply(finish(first, "hello"))
    await store.do(EditMessage, session_id, message_id=message.id, content="@eliza hello")
    [turn] = store.turns
    assert (turn.chatbot_id, seen(turn)) == ("eliza", [("@eliza hello", True)])
    assert [m.superseded_by for m in store.changed] == [None, turn.message_id]
    await store.do(EditMessage, session_id, message_id=message.id, content="@echo hello")
    [again] = store.turns
    assert again.chatbot_id == "echo"
    assert [(m.id, m.status, m.superseded_by) for m in store.stored] == [(turn.message_id, "stopped", again.message_id)]


async def test_only_the_last_message_of_its_author_can_be_edited(store: StoreHarness) -> None:
    """Others are forbidden, earlier ones conflict, unknown ones are not found."""
    session_id = await store.session("bob", title="t", reply_policy="silent")
    await store.apply(first := send(session_id, "one"), last := send(session_id, "two"), send(session_id, "x", "bob"))
    for target, user, code in (
        (first.message_id, "ada", "conflict"),
        (last.message_id, "bob", "forbidden"),
        (last.message_id, "eve", "not_found"),
        (uuid4(), "ada", "not_found"),
    ):
        assert await store.do(EditMessage, session_id, user, message_id=target, content="new") == code
        assert store.published == []
    await store.do(EditMessage, session_id, message_id=last.message_id, content="three")
    assert [(m.content, m.seq, m.updated_seq) for m in store.changed] == [("three", 3, 5)]
    assert store.turns == []


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


async def test_edits_that_wait_for_one_chatbot_are_answered_together(store: StoreHarness) -> None:
    """Both old replies refer to the same new one."""
    session_id = await store.session("bob", "cem", chatbot_ids=["eliza"], title="t")
    edited = []
    for user in ("ada", "bob"):
        message, turn = await asked(store, session_id, f"helo from {user}", user)
        await store.apply(finish(turn, f"what, {user}?"))
        edited.append(message)
    _, busy = await asked(store, session_id, "me", "cem")
    named = set()
    for user, message in zip(("ada", "bob"), edited, strict=True):
        await store.do(EditMessage, session_id, user, message_id=message.id, content=f"hello from {user}")
        named |= {changed.superseded_by for changed in store.changed} - {None}
    await store.apply(finish(busy, "you"))
    [turn] = store.turns
    assert named == {turn.message_id}
    assert [content for content, unanswered in seen(turn) if unanswered] == ["hello from ada", "hello from bob"]

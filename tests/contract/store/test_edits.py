"""Edited messages and the turns that answer them."""

from __future__ import annotations

from uuid import uuid4

from shared.contracts.commands import (
    EditMessage,
    RegenerateReply,
    RemoveChatbot,
)
from shared.contracts.turns import StopTurn
from tests.contract.store.harness import StoreHarness
from tests.contract.store.test_replies import asked, seen
from tests.support.commands import finish, send


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

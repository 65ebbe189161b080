"""A message with the replies to it, and whether the turns that answer it have ended."""

from __future__ import annotations

from uuid import UUID

import pytest

from shared.contracts import queries as q
from shared.contracts.commands import EditMessage, RegenerateReply, RemoveChatbot
from shared.errors import NotFound
from tests.contract.store.harness import StoreHarness
from tests.contract.store.test_replies import asked
from tests.support.commands import card, finish, send


async def answer(store: StoreHarness, session_id: UUID, message_id: UUID, user: str = "ada") -> tuple[list[str], bool]:
    """Return the contents of the replies, and whether the turns have ended."""
    query = q.ReadAnswer(user_id=user, session_id=session_id, message_id=message_id)
    found: q.AnswerResult = await store.ask(query)
    assert found.message.id == message_id
    assert [reply.seq for reply in found.replies] == sorted(reply.seq for reply in found.replies)
    return [reply.content for reply in found.replies], found.ended


async def test_message_is_answered_when_its_turn_has_ended(store: StoreHarness) -> None:
    """Also by a stopped or failed reply; a message of a silent session at once."""
    session_id = await store.session(title="t")
    for content, status in (("fine", "complete"), ("so f", "stopped"), ("", "failed")):
        message, turn = await asked(store, session_id)
        assert await answer(store, session_id, message.id) == ([], False)
        await store.apply(finish(turn, content, status=status))
        assert await answer(store, session_id, message.id) == ([content], True)
    silent = await store.session(title="t", reply_policy="silent")
    await store.apply(command := send(silent))
    assert await answer(store, silent, command.message_id) == ([], True)


async def test_message_that_waits_for_a_busy_chatbot_is_not_answered_yet(store: StoreHarness) -> None:
    session_id = await store.session(title="t")
    first, turn = await asked(store, session_id)
    await store.apply(second := send(session_id, "two"))
    await store.apply(finish(turn, "to one"))
    [following] = store.turns
    assert await answer(store, session_id, first.id) == (["to one"], True)
    assert await answer(store, session_id, second.message_id) == ([], False)
    await store.apply(finish(following, "to two"))
    assert await answer(store, session_id, second.message_id) == (["to two"], True)


async def test_all_chatbots_that_answer_are_awaited_and_their_talk_is_not(store: StoreHarness) -> None:
    await store.announce([card("one"), card("two")])
    session_id = await store.session(title="t", chatbot_ids=["one", "two"], reply_policy="all")
    await store.apply(message := send(session_id))
    first, second = store.turns
    await store.apply(finish(first, "@two what do you say?"))
    assert await answer(store, session_id, message.message_id) == (["@two what do you say?"], False)
    await store.apply(finish(second, "from two"))
    assert len(store.turns) == 1, "two answers one"
    expected = (["@two what do you say?", "from two"], True)
    assert await answer(store, session_id, message.message_id) == expected
    await store.apply(finish(store.turns[0], "to one"))
    assert await answer(store, session_id, message.message_id) == expected


@pytest.mark.parametrize("window", [10_000, 3])
async def test_superseded_replies_are_replaced_however_late(
    store: StoreHarness, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regenerated twice behind later messages, then edited."""
    monkeypatch.setattr("persistence_worker.storage.replies.WINDOW", window)
    session_id = await store.session("bob", title="t")
    message, turn = await asked(store, session_id)
    await store.apply(finish(turn, "old"))
    for n in range(3):
        await store.turn(session_id, f"later {n}", f"reply {n}")
    for n in range(2):
        found = await store.ask(q.ReadAnswer(user_id="ada", session_id=session_id, message_id=message.id))
        await store.do(RegenerateReply, session_id, message_id=found.replies[0].id)
        [turn] = store.turns
        assert await answer(store, session_id, message.id) == ([], False)
        await store.apply(finish(turn, f"new {n}"))
        assert await answer(store, session_id, message.id) == ([f"new {n}"], True)


async def test_edited_message_has_the_replies_to_its_new_text(store: StoreHarness) -> None:
    session_id = await store.session(title="t")
    message, turn = await asked(store, session_id)
    await store.apply(finish(turn, "old"))
    await store.do(EditMessage, session_id, message_id=message.id, content="new text")
    [turn] = store.turns
    assert await answer(store, session_id, message.id) == ([], False)
    await store.apply(finish(turn, "new"))
    assert await answer(store, session_id, message.id) == (["new"], True)


async def test_turns_of_a_removed_chatbot_have_ended(store: StoreHarness) -> None:
    session_id = await store.session(title="t", chatbot_ids=["eliza"])
    first, _ = await asked(store, session_id)
    await store.apply(second := send(session_id, "two"))
    await store.do(RemoveChatbot, session_id, chatbot_id="eliza")
    assert await answer(store, session_id, first.id) == ([""], True)
    assert await answer(store, session_id, second.message_id) == ([], True)


async def test_answers_are_for_members_and_stored_messages(store: StoreHarness) -> None:
    session_id, other = await store.session(title="t"), await store.session(title="t")
    message, _ = await asked(store, session_id)
    for place, user, message_id in ((session_id, "eve", message.id), (other, "ada", message.id), (other, "ada", other)):
        for kind in (q.ReadAnswer, q.ReadMessage):
            with pytest.raises(NotFound):
                await store.ask(kind(user_id=user, session_id=place, message_id=message_id))
    found = await store.ask(q.ReadMessage(user_id="ada", session_id=session_id, message_id=message.id))
    assert found.message == message

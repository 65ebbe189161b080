"""Replies stopped, given anew and rated, messages edited, and chatbots that call upon each other."""

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
from tests.contract.store.desk import Desk, card, finish, order, outcome, send


async def asked(desk: Desk, session_id: UUID, content: str = "hello", user: str = "ada") -> tuple[Message, RunTurn]:
    """A message and the turn that it starts."""
    await desk.apply(send(session_id, content, user))
    [turn] = desk.turns
    return desk.stored[0], turn


def seen(turn: RunTurn) -> list[tuple[str, bool]]:
    return [(message.content, message.unanswered) for message in turn.context]


async def test_a_stop_is_kept_on_the_turn_and_told_to_the_workers(desk: Desk) -> None:
    """The worker stores the text so far; what waited is answered next; later stops change nothing."""
    session_id = await desk.session("bob", title="t")
    _, turn = await asked(desk, session_id)
    await desk.apply(send(session_id, "waits"))
    assert await desk.do(StopReply, session_id, "bob", message_id=turn.message_id) == {}
    assert [stop.message_id for stop in desk.events(StopTurn)] == [turn.message_id]
    assert desk.told[-1][0].name == "chat.control"
    await desk.apply(finish(turn, "so f", status="stopped"))
    assert [(m.content, m.status) for m in desk.stored] == [("so f", "stopped")]
    assert [seen(t)[-2:] for t in desk.turns] == [[("waits", True)]]
    before = await desk.join(session_id)
    assert await desk.do(StopReply, session_id, message_id=turn.message_id) == {}
    assert desk.told == []
    assert await desk.join(session_id) == before


async def test_only_a_reply_of_the_session_will_do(desk: Desk) -> None:
    """Unknown ids, people's messages and other sessions' replies are not found, as are sessions of others."""
    session_id, other = await desk.session(title="t"), await desk.session(title="t")
    message, turn = await asked(desk, session_id)
    await desk.apply(finish(turn))
    kinds: list[tuple[type[Payload], dict[str, Any]]] = [
        (StopReply, {}),
        (RegenerateReply, {}),
        (RateReply, {"rating": 1, "comment": None}),
    ]
    for kind, more in kinds:
        for target in (uuid4(), message.id):
            assert await desk.do(kind, session_id, message_id=target, **more) == "not_found"
        assert await desk.do(kind, other, message_id=turn.message_id, **more) == "not_found"
        assert await desk.do(kind, session_id, "eve", message_id=turn.message_id, **more) == "not_found"
    await desk.do(DeleteSession, session_id)
    for kind, more in kinds:
        assert await desk.do(kind, session_id, message_id=turn.message_id, **more) == "not_found"


async def test_a_stopped_turn_is_not_published_again(desk: Desk) -> None:
    """Neither with a repeat nor as overdue: somebody would begin it anew."""
    session_id = await desk.session()
    await desk.apply(message := send(session_id))
    [turn] = desk.turns
    await desk.do(StopReply, session_id, message_id=turn.message_id)
    await desk.apply_orders(order(message, redelivered=True))
    assert desk.turns == []
    soon = utc_now() + timedelta(hours=1)
    assert await desk.database.write(lambda c: desk.ledger.store.overdue(c, soon, 10)) == []


async def test_a_reply_is_given_anew_in_the_view_that_it_had(desk: Desk) -> None:
    """The old one keeps its place and names its successor; what came later is not in the new turn's context."""
    session_id = await desk.session(chatbot_ids=["eliza"], title="t")
    await desk.turn(session_id, "one", "first reply")
    [reply] = desk.stored
    await desk.turn(session_id, "two", "second reply")
    answered = await desk.do(RegenerateReply, session_id, message_id=reply.id)
    [turn] = desk.turns
    assert answered == {"message_id": str(turn.message_id)}
    assert (turn.reply_to, turn.starts, turn.again) == (reply.reply_to, 0, False)
    assert seen(turn) == [("one", True)]
    [old] = desk.changed
    assert (old.id, old.seq, old.updated_seq, old.superseded_by) == (reply.id, 2, 5, turn.message_id)
    await desk.apply(finish(turn, "better"))
    assert [(m.seq, m.id, m.content) for m in desk.stored] == [(6, turn.message_id, "better")]
    assert await desk.do(RegenerateReply, session_id, message_id=reply.id) == answered
    assert desk.turns == desk.changed == []
    _, later = await asked(desk, session_id, "three")
    assert [m.content for m in later.context] == ["one", "two", "second reply", "better", "three"]


async def test_regenerating_again_goes_on_from_the_new_reply(desk: Desk) -> None:
    """With the same view; a redelivered command gets the first answer."""
    session_id = await desk.session(chatbot_ids=["eliza"], title="t")
    await desk.turn(session_id, "one", "first")
    [reply] = desk.stored
    await desk.do(RegenerateReply, session_id, message_id=reply.id)
    [second] = desk.turns
    await desk.apply(finish(second, "second"))
    command = order(RegenerateReply(session_id=session_id, user_id="ada", message_id=second.message_id))
    answered = outcome(await desk.apply_orders(command))
    [third] = desk.turns
    assert seen(third) == [("one", True)]
    assert outcome(await desk.apply_orders(replace(command, redelivered=True))) == answered
    assert [(t.message_id, t.again) for t in desk.turns] == [(third.message_id, True)]


async def test_a_busy_or_absent_chatbot_gives_nothing_anew(desk: Desk) -> None:
    """Conflict, and the good reply stays."""
    session_id = await desk.session(chatbot_ids=["eliza"], title="t")
    await desk.turn(session_id)
    [reply] = desk.stored
    _, turn = await asked(desk, session_id)
    for target in (reply.id, turn.message_id):
        assert await desk.do(RegenerateReply, session_id, message_id=target) == "conflict"
    await desk.apply(finish(turn))
    await desk.announce([card("echo")], utc_now())
    assert await desk.do(RegenerateReply, session_id, message_id=reply.id) == "conflict"
    await desk.do(RemoveChatbot, session_id, chatbot_id="eliza")
    assert await desk.do(RegenerateReply, session_id, message_id=reply.id) == "conflict"
    assert desk.told == []


async def test_ratings_are_kept_until_taken_back(desk: Desk) -> None:
    """One a member and reply; no event, no number."""
    session_id = await desk.session("bob", title="t")
    _, turn = await asked(desk, session_id)
    await desk.apply(finish(turn))
    for user, rating, comment in (("ada", 1, "good"), ("ada", -1, None), ("bob", 1, "fine"), ("bob", 0, None)):
        rated = await desk.do(RateReply, session_id, user, message_id=turn.message_id, rating=rating, comment=comment)
        assert rated == {}
        assert desk.told == []
    kept = select(message_ratings.c.user_id, message_ratings.c.rating, message_ratings.c.comment)
    rows = await desk.database.read(lambda c: c.execute(kept).all())
    assert [tuple(row) for row in rows] == [("ada", -1, None)]


async def test_an_edited_message_is_answered_anew(desk: Desk) -> None:
    """It keeps its place; the reply to it is superseded; the new turn sees the new words and not the old reply."""
    session_id = await desk.session(chatbot_ids=["eliza"], title="t")
    await desk.turn(session_id, "before", "reply to before")
    message, first = await asked(desk, session_id, "helo")
    await desk.apply(finish(first, "what?"))
    assert await desk.do(EditMessage, session_id, message_id=message.id, content="hello") == {}
    [turn] = desk.turns
    assert [(m.id, m.seq, m.updated_seq, m.content, m.superseded_by) for m in desk.changed] == [
        (message.id, 3, 5, "hello", None),
        (first.message_id, 4, 6, "what?", turn.message_id),
    ]
    assert seen(turn) == [("before", False), ("reply to before", False), ("hello", True)]
    assert turn.reply_to == message.id
    await desk.apply(finish(turn, "hello yourself"))
    assert await desk.do(EditMessage, session_id, message_id=message.id, content="hello") == {}
    assert desk.told == []


async def test_an_edit_stops_the_reply_under_way(desk: Desk) -> None:
    """Stored as stopped, empty and superseded; what waited for its end waits for the new one's."""
    session_id = await desk.session("bob", chatbot_ids=["eliza"], title="t")
    message, first = await asked(desk, session_id, "helo")
    await desk.apply(send(session_id, "me too", "bob"))
    await desk.do(EditMessage, session_id, message_id=message.id, content="hello")
    [turn] = desk.turns
    assert [m.content for m in desk.changed] == ["hello"]
    [cut] = desk.stored
    assert (cut.id, cut.content, cut.status, cut.superseded_by) == (first.message_id, "", "stopped", turn.message_id)
    assert [stop.message_id for stop in desk.events(StopTurn)] == [first.message_id]
    assert seen(turn) == [("hello", True)]
    await desk.apply(finish(first, "too late"))
    assert desk.stored == []
    await desk.apply(finish(turn, "hello yourself"))
    assert [seen(t)[-2:] for t in desk.turns] == [[("me too", True), ("hello yourself", False)]]


async def test_an_edit_waits_for_a_chatbot_that_answers_somebody_else(desk: Desk) -> None:
    """Its old reply names the one that will come at once; the next turn answers the edit and what else waits."""
    session_id = await desk.session("bob", chatbot_ids=["eliza"], title="t")
    message, first = await asked(desk, session_id, "helo")
    await desk.apply(finish(first, "what?"))
    _, second = await asked(desk, session_id, "me", "bob")
    await desk.do(EditMessage, session_id, message_id=message.id, content="hello")
    assert desk.turns == []
    [_, old] = desk.changed
    await desk.apply(send(session_id, "and me", "bob"))
    await desk.apply(finish(second, "you"))
    [third] = desk.turns
    assert third.message_id == old.superseded_by
    assert seen(third) == [("hello", True), ("me", False), ("and me", True), ("you", False)]
    await desk.apply(finish(third, "hello both"))
    assert desk.turns == []
    await desk.apply(finish((await asked(desk, session_id, "later"))[1]))
    await desk.do(RegenerateReply, session_id, message_id=third.message_id)
    assert [t.context for t in desk.turns] == [third.context]


async def test_a_reply_that_an_edit_has_promised_comes_even_if_its_chatbot_goes(desk: Desk) -> None:
    """Stopped and empty, as the one under way: no reply is superseded by one that there will never be."""
    session_id = await desk.session("bob", chatbot_ids=["eliza"], title="t")
    message, first = await asked(desk, session_id, "helo")
    await desk.apply(finish(first, "what?"))
    _, second = await asked(desk, session_id, "me", "bob")
    await desk.do(EditMessage, session_id, message_id=message.id, content="hello")
    [_, old] = desk.changed
    await desk.do(RemoveChatbot, session_id, chatbot_id="eliza")
    assert [(m.id, m.status, m.content) for m in desk.stored] == [
        (second.message_id, "stopped", ""),
        (old.superseded_by, "stopped", ""),
    ]
    assert desk.stored[1].reply_to == message.id
    assert desk.turns == []
    assert (await desk.join(session_id)).active == []
    assert await desk.do(RegenerateReply, session_id, message_id=old.superseded_by) == "conflict"


async def test_an_edit_may_call_upon_another_chatbot(desk: Desk) -> None:
    """Under `mentioned` the new words decide; the old reply is superseded by the new one's."""
    session_id = await desk.session(chatbot_ids=["echo", "eliza"], title="t")
    message, first = await asked(desk, session_id, "@echo hello")
    await desk.apply(finish(first, "hello"))
    await desk.do(EditMessage, session_id, message_id=message.id, content="@eliza hello")
    [turn] = desk.turns
    assert (turn.chatbot_id, seen(turn)) == ("eliza", [("@eliza hello", True)])
    assert [m.superseded_by for m in desk.changed] == [None, turn.message_id]
    await desk.do(EditMessage, session_id, message_id=message.id, content="@echo hello")
    [again] = desk.turns
    assert again.chatbot_id == "echo"
    assert [(m.id, m.status, m.superseded_by) for m in desk.stored] == [(turn.message_id, "stopped", again.message_id)]


async def test_only_the_authors_last_message_can_be_edited(desk: Desk) -> None:
    """Others' are forbidden, earlier ones conflict, unknown ones are not found."""
    session_id = await desk.session("bob", title="t", reply_policy="silent")
    await desk.apply(first := send(session_id, "one"), last := send(session_id, "two"), send(session_id, "x", "bob"))
    for target, user, code in (
        (first.message_id, "ada", "conflict"),
        (last.message_id, "bob", "forbidden"),
        (last.message_id, "eve", "not_found"),
        (uuid4(), "ada", "not_found"),
    ):
        assert await desk.do(EditMessage, session_id, user, message_id=target, content="new") == code
        assert desk.told == []
    await desk.do(EditMessage, session_id, message_id=last.message_id, content="three")
    assert [(m.content, m.seq, m.updated_seq) for m in desk.changed] == [("three", 3, 5)]
    assert desk.turns == []


async def ping_pong(desk: Desk, session_id: UUID, command: SendMessage) -> list[str]:
    """Everybody who answers until nobody is asked any more; each names the other."""
    other = {"echo": "@eliza your turn", "eliza": "@echo your turn"}
    speakers: list[str] = []
    await desk.apply(command)
    while desk.turns and len(speakers) < 20:
        [turn] = desk.turns
        speakers.append(turn.chatbot_id)
        await desk.apply(finish(turn, other[turn.chatbot_id]))
    assert (await desk.join(session_id)).active == []
    return speakers


async def test_chatbots_that_name_each_other_come_to_an_end(desk: Desk) -> None:
    """After four turns, the first of which answers a person; and under `silent` they never begin."""
    session_id = await desk.session(chatbot_ids=["echo", "eliza"], title="t", reply_policy="round_robin")
    assert await ping_pong(desk, session_id, send(session_id)) == ["echo", "eliza", "echo", "eliza"]
    assert await ping_pong(desk, session_id, send(session_id)) == ["eliza", "echo", "eliza", "echo"]


async def test_a_chatbot_is_not_called_upon_by_its_own_name_or_by_a_cut_reply(desk: Desk) -> None:
    """Nor does the name of a user, or of a chatbot that takes no part, ask anybody."""
    session_id = await desk.session("bob", chatbot_ids=["echo"], title="t")
    for content, more in (("@echo @bob @eliza", {}), ("@eliza", {"status": "stopped"})):
        _, turn = await asked(desk, session_id)
        await desk.apply(finish(turn, content, **more))
        assert desk.turns == []


async def test_a_chatbot_called_upon_while_it_answers_does_so_next(desk: Desk) -> None:
    """Together with what people have asked meanwhile, which begins a new chain."""
    session_id = await desk.session(chatbot_ids=["echo", "eliza"], title="t", reply_policy="all")
    await desk.apply(send(session_id, "hello"))
    echo, eliza = sorted(desk.turns, key=lambda turn: turn.chatbot_id)
    await desk.apply(finish(echo, "@eliza what do you think?"))
    assert desk.turns == []
    await desk.apply(finish(eliza, "fine"))
    [turn] = desk.turns
    assert (turn.chatbot_id, seen(turn)[-2:]) == ("eliza", [("@eliza what do you think?", True), ("fine", False)])


async def test_a_chain_goes_on_counting_while_it_waits(desk: Desk) -> None:
    """Called upon while it answers somebody else, a chatbot is no nearer to the beginning of the chain."""
    session_id = await desk.session(chatbot_ids=["echo", "eliza"], title="t", reply_policy="round_robin")
    _, echo = await asked(desk, session_id)
    _, eliza = await asked(desk, session_id)
    await desk.apply(finish(echo, "@eliza"))
    speakers, content = [], "fine"
    turns = [eliza]
    while turns:
        [turn] = turns
        speakers.append(turn.chatbot_id)
        await desk.apply(finish(turn, content))
        turns, content = desk.turns, "@echo @eliza"
    assert speakers == ["eliza", "eliza", "echo", "eliza"]


async def test_edits_that_wait_for_the_same_chatbot_are_answered_together(desk: Desk) -> None:
    """Both old replies name the one reply that will come."""
    session_id = await desk.session("bob", "cem", chatbot_ids=["eliza"], title="t")
    edited = []
    for user in ("ada", "bob"):
        message, turn = await asked(desk, session_id, f"helo from {user}", user)
        await desk.apply(finish(turn, f"what, {user}?"))
        edited.append(message)
    _, busy = await asked(desk, session_id, "me", "cem")
    named = set()
    for user, message in zip(("ada", "bob"), edited, strict=True):
        await desk.do(EditMessage, session_id, user, message_id=message.id, content=f"hello from {user}")
        named |= {changed.superseded_by for changed in desk.changed} - {None}
    await desk.apply(finish(busy, "you"))
    [turn] = desk.turns
    assert named == {turn.message_id}
    assert [content for content, unanswered in seen(turn) if unanswered] == ["hello from ada", "hello from bob"]

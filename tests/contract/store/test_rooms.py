"""Sessions and who takes part in them: what each command changes, numbers, tells, and refuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from persistence_worker.domain.unit_of_work import Limits
from shared.contracts.commands import (
    AcceptInvite,
    AddChatbot,
    CreateInvite,
    DeleteSession,
    LeaveSession,
    MarkRead,
    RemoveChatbot,
    RemoveUser,
    UpdateSession,
)
from shared.contracts.events import MessageRejected, ReadMarked, SessionDeleted
from shared.contracts.payload import Payload, utc_now
from shared.contracts.queries import ListSessions, ReadChanges, ReadHeads, ReadSession
from shared.contracts.turns import StopTurn
from shared.errors import NotFound
from tests.contract.store.desk import Desk, card, finish, order, outcome, send, soon, start

OWNERS: list[tuple[type[Payload], dict[str, Any]]] = [
    (UpdateSession, {"title": None, "reply_policy": "all"}),
    (DeleteSession, {}),
    (AddChatbot, {"chatbot_id": "eliza"}),
    (RemoveChatbot, {"chatbot_id": "echo"}),
    (CreateInvite, {"invite_hash": "other", "expires_at": soon(60), "max_uses": None}),
    (RemoveUser, {"removed_id": "ada"}),
]
MEMBERS: list[tuple[type[Payload], dict[str, Any]]] = [
    (UpdateSession, {"title": "x", "reply_policy": None}),
    (LeaveSession, {}),
    (MarkRead, {"seq": 1}),
]


async def test_what_is_not_yours_is_not_found(desk: Desk) -> None:
    """A stranger, a missing session and a deleted one get the same answer, and nothing is told or changed."""
    session_id, gone = await desk.session("bob"), await desk.session()
    await desk.do(DeleteSession, gone)
    before = await desk.join(session_id)
    for kind, fields in OWNERS + MEMBERS:
        for target, user in ((session_id, "eve"), (uuid4(), "ada"), (gone, "ada")):
            assert await desk.do(kind, target, user, **fields) == "not_found", kind
            assert desk.told == []
    assert await desk.join(session_id) == before


async def test_what_is_the_owners_is_forbidden_to_members(desk: Desk) -> None:
    """Nothing is told or changed."""
    session_id = await desk.session("bob")
    before = await desk.join(session_id)
    for kind, fields in OWNERS:
        assert await desk.do(kind, session_id, "bob", **fields) == "forbidden", kind
        assert desk.told == []
    assert await desk.join(session_id) == before


async def test_title_and_policy(desk: Desk) -> None:
    """Each change takes one number, told to everybody; what is as it was takes none."""
    session_id = await desk.session("bob")
    answered = await desk.do(UpdateSession, session_id, "bob", title="Grüße", reply_policy=None)
    [told] = desk.updated
    assert answered["session"] == told.model_dump(mode="json")
    assert (told.title, told.seq, told.last_seq) == ("Grüße", 2, 2)
    await desk.do(UpdateSession, session_id, title="Grüße", reply_policy="all")
    assert [(s.reply_policy, s.seq) for s in desk.updated] == [("all", 3)]
    assert (await desk.do(UpdateSession, session_id, title="Grüße", reply_policy="all"))["session"]["seq"] == 3
    assert desk.updated == []


async def test_a_deleted_session_is_gone_for_ever(desk: Desk) -> None:
    """Its turns end in silence, its workers are stopped, all members hear of it, and its id never lives again."""
    command = start()
    await desk.apply(command)
    session_id = command.session_id
    await desk.apply(send(session_id))
    [turn] = desk.turns
    assert await desk.do(DeleteSession, session_id) == {}
    [gone] = desk.events(SessionDeleted)
    assert (gone.users, gone.whole) == (["ada"], True)
    assert sorted(key[0] for _, key, event in desk.told if event.data is gone) == ["s", "u"]
    assert [stop.message_id for stop in desk.events(StopTurn)] == [turn.message_id]
    assert desk.told[-1][0].name == "chat.control"
    await desk.apply(finish(turn))
    assert desk.told == []
    await desk.apply(send(session_id))
    assert [r.code for r in desk.events(MessageRejected)] == ["not_found"]
    assert outcome(await desk.apply(command)) == "not_found"
    with pytest.raises(NotFound):
        await desk.join(session_id)
    with pytest.raises(NotFound):
        await desk.ask(ReadSession(user_id="ada", session_id=session_id))
    with pytest.raises(NotFound):
        await desk.ask(ReadChanges(session_id=session_id, after_seq=0, limit=10))
    assert (await desk.ask(ReadHeads(session_ids=[session_id]))).heads == {}
    assert (await desk.ask(ListSessions(user_id="ada", cursor=None, limit=10))).sessions == []


async def test_a_chatbot_is_added_once(desk: Desk) -> None:
    """Unknown ones are not found, too many conflict, one that is there changes nothing."""
    session_id = await desk.session()
    await desk.announce([card("echo"), card("eliza"), card("third")], utc_now())
    desk.ledger._limits = Limits(chatbots=2, users=2)
    assert await desk.do(AddChatbot, session_id, chatbot_id="nobody") == "not_found"
    answered = await desk.do(AddChatbot, session_id, chatbot_id="eliza")
    assert [c["name"] for c in answered["session"]["chatbots"]] == ["Echo", "Eliza"]
    assert [s.seq for s in desk.updated] == [1]
    assert (await desk.do(AddChatbot, session_id, chatbot_id="eliza"))["session"]["seq"] == 1
    assert desk.told == []
    assert await desk.do(AddChatbot, session_id, chatbot_id="third") == "conflict"
    assert [c.id for c in (await desk.join(session_id)).session.chatbots] == ["echo", "eliza"]


async def test_a_chatbot_that_is_removed_leaves_nothing_open(desk: Desk) -> None:
    """What it owes is stored as stopped and empty, for what waited too; its late reply changes nothing."""
    session_id = await desk.session(chatbot_ids=["eliza"])
    await desk.apply(send(session_id, "one"))
    [turn] = desk.turns
    await desk.apply(waiting := send(session_id, "two"))
    answered = await desk.do(RemoveChatbot, session_id, chatbot_id="eliza")
    assert answered["session"]["chatbots"] == []
    [reply] = desk.stored
    assert (reply.id, reply.content, reply.status, reply.seq) == (turn.message_id, "", "stopped", 3)
    assert reply.reply_to == waiting.message_id
    assert [s.seq for s in desk.updated] == [4]
    assert [stop.message_id for stop in desk.events(StopTurn)] == [turn.message_id]
    assert (await desk.do(RemoveChatbot, session_id, chatbot_id="eliza"))["session"]["last_seq"] == 4
    await desk.apply(finish(turn))
    assert desk.stored == []
    await desk.apply(send(session_id))
    assert desk.turns == []


async def invite(desk: Desk, session_id: UUID, secret: str = "s", uses: int | None = None, lasts: float = 60) -> None:
    await desk.do(CreateInvite, session_id, invite_hash=secret, expires_at=soon(lasts), max_uses=uses)


async def test_an_invite_lets_in_as_often_as_it_says(desk: Desk) -> None:
    """A member uses nothing up; used up, expired, unknown and another session's are all not found."""
    session_id, other = await desk.session(), await desk.session()
    await invite(desk, session_id, uses=2)
    assert desk.told == []
    for user in ("bob", "bob", "ada", "cem"):
        assert "session" in await desk.do(AcceptInvite, session_id, user, invite_hash="s")
    assert await desk.do(AcceptInvite, session_id, "dan", invite_hash="s") == "not_found"
    await invite(desk, session_id, "late", lasts=-1)
    assert await desk.do(AcceptInvite, session_id, "dan", invite_hash="late") == "not_found"
    await invite(desk, other, "others")
    assert await desk.do(AcceptInvite, session_id, "dan", invite_hash="others") == "not_found"
    assert await desk.do(AcceptInvite, session_id, "dan", invite_hash="guess") == "not_found"
    joined = await desk.join(session_id, user="cem")
    assert (joined.session.users, joined.session.seq, joined.session.read_seq) == (["ada", "bob", "cem"], 2, 0)


async def test_whoever_joins_hears_of_it_and_can_write(desk: Desk) -> None:
    """The session's update goes to the bucket of everybody in it, the new one included."""
    session_id = await desk.session()
    await invite(desk, session_id)
    await desk.do(AcceptInvite, session_id, "bob", invite_hash="s")
    [told] = desk.updated
    assert told.users == ["ada", "bob"]
    await desk.apply(send(session_id, user="bob"))
    assert [m.sender_id for m in desk.stored] == ["bob"]


async def test_a_full_session_takes_nobody_more(desk: Desk) -> None:
    """Conflict, and no use is taken."""
    desk.ledger._limits = Limits(chatbots=8, users=2)
    session_id = await desk.session("bob")
    await invite(desk, session_id, uses=1)
    assert await desk.do(AcceptInvite, session_id, "cem", invite_hash="s") == "conflict"
    await desk.do(LeaveSession, session_id, "bob")
    assert "session" in await desk.do(AcceptInvite, session_id, "cem", invite_hash="s")


async def test_leaving_means_leaving(desk: Desk) -> None:
    """The others get a number, the one who goes hears that it is over, and is a stranger from then on."""
    session_id = await desk.session("bob")
    assert await desk.do(LeaveSession, session_id, "bob") == {}
    assert [(s.users, s.seq) for s in desk.updated] == [(["ada"], 2)]
    [gone] = desk.events(SessionDeleted)
    assert (gone.users, gone.whole) == (["bob"], False)
    assert [key[0] for _, key, event in desk.told if event.data is gone] == ["u"]
    await desk.apply(send(session_id, user="bob"))
    assert desk.events(MessageRejected)
    with pytest.raises(NotFound):
        await desk.join(session_id, user="bob")
    assert await desk.do(LeaveSession, session_id, "bob") == "not_found"
    assert "session" in await desk.do(AcceptInvite, session_id, "bob", invite_hash="h")
    assert (await desk.join(session_id, user="bob")).session.users == ["ada", "bob"]


async def test_the_owners_leaving_passes_the_session_to_the_longest_member(desk: Desk) -> None:
    """And the last one's deletes it."""
    session_id = await desk.session("zoe", "bob")
    await desk.do(LeaveSession, session_id)
    assert [(s.owner_id, s.users) for s in desk.updated] == [("zoe", ["zoe", "bob"])]
    assert await desk.do(UpdateSession, session_id, "zoe", title=None, reply_policy="all") != "forbidden"
    await desk.do(LeaveSession, session_id, "zoe")
    await desk.do(LeaveSession, session_id, "bob")
    assert [(e.users, e.whole) for e in desk.events(SessionDeleted)] == [(["bob"], True)]
    assert await desk.do(AcceptInvite, session_id, "bob", invite_hash="h") == "not_found"


async def test_whoever_is_removed_cannot_come_back_by_an_old_invite(desk: Desk) -> None:
    """All open invites end, those of the same batch too; removing nobody, or oneself, changes nothing."""
    session_id = await desk.session("bob")
    assert await desk.do(RemoveUser, session_id, removed_id="ada") == "conflict"
    fields = {"session_id": session_id, "user_id": "ada"}
    await desk.apply(
        CreateInvite(**fields, invite_hash="new", expires_at=soon(60), max_uses=None),
        RemoveUser(**fields, removed_id="bob"),
        CreateInvite(**fields, invite_hash="after", expires_at=soon(60), max_uses=None),
    )
    assert [(s.users, s.seq) for s in desk.updated] == [(["ada"], 2)]
    assert [e.users for e in desk.events(SessionDeleted)] == [["bob"]]
    for secret in ("h", "new"):
        assert await desk.do(AcceptInvite, session_id, "bob", invite_hash=secret) == "not_found"
    assert (await desk.do(RemoveUser, session_id, removed_id="bob"))["session"]["seq"] == 2
    assert desk.told == []
    assert "session" in await desk.do(AcceptInvite, session_id, "bob", invite_hash="after")


async def test_read_marks_only_grow(desk: Desk) -> None:
    """Never beyond what there is; a mark that is no higher is told to nobody, and none takes a number."""
    session_id = await desk.session("bob")
    await desk.turn(session_id)
    for seq, told in ((3, 3), (2, None), (10**15, 4), (4, None)):
        assert await desk.do(MarkRead, session_id, "bob", seq=seq) == {}
        assert [event.seq for event in desk.events(ReadMarked)] == ([told] if told else [])
    assert [key[0] for _, key, _ in desk.told] == []
    assert (await desk.join(session_id, user="bob")).session.read_seq == 4
    assert (await desk.join(session_id)).session.read_seq == 0
    assert (await desk.join(session_id)).last_seq == 4


async def test_a_repeated_command_gets_its_first_answer(desk: Desk) -> None:
    """Whatever has happened since; what may not have been heard is told again, and nothing changes."""
    session_id = await desk.session("bob")
    leave = order(LeaveSession(session_id=session_id, user_id="bob"))
    rename = order(UpdateSession(session_id=session_id, user_id="ada", title="one", reply_policy=None))
    refused = order(AcceptInvite(session_id=session_id, user_id="cem", invite_hash="none"))
    delete = order(DeleteSession(session_id=session_id, user_id="ada"))
    first = [outcome(await desk.apply_orders(each)) for each in (leave, rename, refused)]
    await invite(desk, session_id, "none")
    await desk.do(UpdateSession, session_id, title="two", reply_policy=None)
    before = await desk.join(session_id)
    again = []
    for each in (leave, rename, refused):
        again.append(outcome(await desk.apply_orders(each)))
        assert desk.told != []
    assert again == first
    assert await desk.join(session_id) == before
    assert outcome(await desk.apply_orders(delete)) == outcome(await desk.apply_orders(delete)) == {}
    assert [(e.users, e.whole) for e in desk.events(SessionDeleted)] == [(["ada"], True)]
    assert outcome(await desk.apply_orders(rename)) == first[1]


async def test_a_late_command_that_was_done_is_told_again(desk: Desk) -> None:
    """Its worker died between commit and telling, and its deadline passed before the next one had it."""
    session_id = await desk.session("bob")
    leave = LeaveSession(session_id=session_id, user_id="bob")
    first = order(leave)
    late = order(leave, soon(-1), first.received.id, redelivered=True)
    assert outcome(await desk.apply_orders(first)) == outcome(await desk.apply_orders(late)) == {}
    assert [e.users for e in desk.events(SessionDeleted)] == [["bob"]]
    await desk.apply_orders(
        replace(late, redelivered=False)
    )  # not redelivered: nobody can have done it, and nobody is asked
    assert desk.told == []


async def test_repeats_within_one_batch_are_one(desk: Desk) -> None:
    """A redelivery that lands in the same transaction takes no second number."""
    session_id = await desk.session()
    rename = order(UpdateSession(session_id=session_id, user_id="ada", title="one", reply_policy=None))
    applied = await desk.apply_orders(rename, rename)
    assert [reply.error for _, reply in applied.batch.answers] == [None, None]
    assert (await desk.join(session_id)).last_seq == 1


async def test_a_command_past_its_deadline_changes_nothing(desk: Desk) -> None:
    """Neither done nor answered, and not kept as done."""
    session_id = await desk.session()
    late = order(DeleteSession(session_id=session_id, user_id="ada"), utc_now() - timedelta(seconds=1))
    assert (await desk.apply_orders(late)).batch.answers == []
    assert (await desk.join(session_id)).last_seq == 0


async def test_start_join_and_leave_in_one_batch(desk: Desk) -> None:
    """In memory as in the database: who founded it stays the longest member, and who left is gone."""
    command = start(user="zoe")
    fields: dict[str, Any] = {"session_id": command.session_id}
    await desk.apply(
        command,
        CreateInvite(**fields, user_id="zoe", invite_hash="h", expires_at=soon(60), max_uses=None),
        AcceptInvite(**fields, user_id="cem", invite_hash="h"),
        AcceptInvite(**fields, user_id="bob", invite_hash="h"),
        LeaveSession(**fields, user_id="bob"),
        AcceptInvite(**fields, user_id="bob", invite_hash="h"),
        AcceptInvite(**fields, user_id="dan", invite_hash="h"),
        LeaveSession(**fields, user_id="dan"),
    )
    in_memory = desk.updated[-1]
    joined = await desk.join(command.session_id, user="zoe")
    assert joined.session.users == in_memory.users
    assert joined.session.users[0] == "zoe"
    assert set(joined.session.users) == {"zoe", "bob", "cem"}

"""Sessions and members: what each command changes, numbers, publishes and refuses."""

from __future__ import annotations

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
from tests.contract.store.harness import StoreHarness, outcome
from tests.support.commands import card, expiry, finish, send, soon, start

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


async def test_missing_deleted_and_foreign_sessions_are_not_found(store: StoreHarness) -> None:
    """The same answer in all cases, and no change or publication."""
    session_id, gone = await store.session("bob"), await store.session()
    await store.do(DeleteSession, gone)
    before = await store.join(session_id)
    for kind, fields in OWNERS + MEMBERS:
        for target, user in ((session_id, "eve"), (uuid4(), "ada"), (gone, "ada")):
            assert await store.do(kind, target, user, **fields) == "not_found", kind
            assert store.published == []
    assert await store.join(session_id) == before


async def test_commands_of_the_owner_are_forbidden_for_members(store: StoreHarness) -> None:
    """Nothing is changed or published."""
    session_id = await store.session("bob")
    before = await store.join(session_id)
    for kind, fields in OWNERS:
        assert await store.do(kind, session_id, "bob", **fields) == "forbidden", kind
        assert store.published == []
    assert await store.join(session_id) == before


async def test_change_of_title_or_policy_takes_one_number(store: StoreHarness) -> None:
    """And is published; without a change none is taken."""
    session_id = await store.session("bob")
    answered = await store.do(UpdateSession, session_id, "bob", title="Grüße", reply_policy=None)
    [published] = store.updated
    assert answered["session"] == published.to_dict()
    assert (published.title, published.seq, published.last_seq) == ("Grüße", 2, 2)
    await store.do(UpdateSession, session_id, title="Grüße", reply_policy="all")
    assert [(s.reply_policy, s.seq) for s in store.updated] == [("all", 3)]
    assert (await store.do(UpdateSession, session_id, title="Grüße", reply_policy="all"))["session"]["seq"] == 3
    assert store.updated == []


async def test_deleted_session_stays_deleted(store: StoreHarness) -> None:
    """Its turns end without a reply, its chatbots are stopped, all members are notified, and its id is not used again."""
    command = start()
    await store.apply(command)
    session_id = command.session_id
    await store.apply(send(session_id))
    [turn] = store.turns
    assert await store.do(DeleteSession, session_id) == {}
    [gone] = store.events(SessionDeleted)
    assert (gone.users, gone.whole) == (["ada"], True)
    assert sorted(key[0] for _, key, event in store.published if event.data is gone) == ["s", "u"]
    assert [stop.message_id for stop in store.events(StopTurn)] == [turn.message_id]
    assert store.published[-1][0].name == "chat.control"
    await store.apply(finish(turn))
    assert store.published == []
    await store.apply(send(session_id))
    assert [r.code for r in store.events(MessageRejected)] == ["not_found"]
    assert outcome(await store.apply(command)) == "not_found"
    with pytest.raises(NotFound):
        await store.join(session_id)
    with pytest.raises(NotFound):
        await store.ask(ReadSession(user_id="ada", session_id=session_id))
    with pytest.raises(NotFound):
        await store.ask(ReadChanges(session_id=session_id, after_seq=0, limit=10))
    assert (await store.ask(ReadHeads(session_ids=[session_id]))).heads == {}
    assert (await store.ask(ListSessions(user_id="ada", cursor=None, limit=10))).sessions == []


async def test_chatbot_is_added_once(store: StoreHarness) -> None:
    """Unknown ones are not found, too many conflict."""
    session_id = await store.session()
    await store.announce([card("echo"), card("eliza"), card("third")], utc_now())
    store.runner._limits = Limits(chatbots=2, users=2)
    assert await store.do(AddChatbot, session_id, chatbot_id="nobody") == "not_found"
    answered = await store.do(AddChatbot, session_id, chatbot_id="eliza")
    assert [c["name"] for c in answered["session"]["chatbots"]] == ["Echo", "Eliza"]
    assert [s.seq for s in store.updated] == [1]
    assert (await store.do(AddChatbot, session_id, chatbot_id="eliza"))["session"]["seq"] == 1
    assert store.published == []
    assert await store.do(AddChatbot, session_id, chatbot_id="third") == "conflict"
    assert [c.id for c in (await store.join(session_id)).session.chatbots] == ["echo", "eliza"]


async def test_removed_chatbot_has_no_open_turn(store: StoreHarness) -> None:
    """Its replies are stored as stopped, for waiting messages too; a late reply changes nothing."""
    session_id = await store.session(chatbot_ids=["eliza"])
    await store.apply(send(session_id, "one"))
    [turn] = store.turns
    await store.apply(waiting := send(session_id, "two"))
    answered = await store.do(RemoveChatbot, session_id, chatbot_id="eliza")
    assert answered["session"]["chatbots"] == []
    [reply] = store.stored
    assert (reply.id, reply.content, reply.status, reply.seq) == (turn.message_id, "", "stopped", 3)
    assert reply.reply_to == waiting.message_id
    assert [s.seq for s in store.updated] == [4]
    assert [stop.message_id for stop in store.events(StopTurn)] == [turn.message_id]
    assert (await store.do(RemoveChatbot, session_id, chatbot_id="eliza"))["session"]["last_seq"] == 4
    await store.apply(finish(turn))
    assert store.stored == []
    await store.apply(send(session_id))
    assert store.turns == []


async def invite(
    store: StoreHarness, session_id: UUID, secret: str = "s", uses: int | None = None, lasts: float = 60
) -> None:
    await store.do(CreateInvite, session_id, invite_hash=secret, expires_at=expiry(lasts), max_uses=uses)


async def test_invite_can_be_used_as_often_as_it_allows(store: StoreHarness) -> None:
    """Members use none up; used up, expired, unknown ones and those of another session are not found."""
    session_id, other = await store.session(), await store.session()
    await invite(store, session_id, uses=2)
    assert store.published == []
    for user in ("bob", "bob", "ada", "cem"):
        assert "session" in await store.do(AcceptInvite, session_id, user, invite_hash="s")
    assert await store.do(AcceptInvite, session_id, "dan", invite_hash="s") == "not_found"
    await invite(store, session_id, "late", lasts=-1)
    assert await store.do(AcceptInvite, session_id, "dan", invite_hash="late") == "not_found"
    await invite(store, other, "others")
    assert await store.do(AcceptInvite, session_id, "dan", invite_hash="others") == "not_found"
    assert await store.do(AcceptInvite, session_id, "dan", invite_hash="guess") == "not_found"
    joined = await store.join(session_id, user="cem")
    assert (joined.session.users, joined.session.seq, joined.session.read_seq) == (["ada", "bob", "cem"], 2, 0)


async def test_new_member_gets_the_session_and_can_write(store: StoreHarness) -> None:
    """The update is published to the buckets of all members."""
    session_id = await store.session()
    await invite(store, session_id)
    await store.do(AcceptInvite, session_id, "bob", invite_hash="s")
    [published] = store.updated
    assert published.users == ["ada", "bob"]
    await store.apply(send(session_id, user="bob"))
    assert [m.sender_id for m in store.stored] == ["bob"]


async def test_full_session_refuses_with_conflict(store: StoreHarness) -> None:
    """The invite is not used."""
    store.runner._limits = Limits(chatbots=8, users=2)
    session_id = await store.session("bob")
    await invite(store, session_id, uses=1)
    assert await store.do(AcceptInvite, session_id, "cem", invite_hash="s") == "conflict"
    await store.do(LeaveSession, session_id, "bob")
    assert "session" in await store.do(AcceptInvite, session_id, "cem", invite_hash="s")


async def test_former_member_is_notified_and_has_no_access(store: StoreHarness) -> None:
    """The remaining members get a number."""
    session_id = await store.session("bob")
    assert await store.do(LeaveSession, session_id, "bob") == {}
    assert [(s.users, s.seq) for s in store.updated] == [(["ada"], 2)]
    [gone] = store.events(SessionDeleted)
    assert (gone.users, gone.whole) == (["bob"], False)
    assert [key[0] for _, key, event in store.published if event.data is gone] == ["u"]
    await store.apply(send(session_id, user="bob"))
    assert store.events(MessageRejected)
    with pytest.raises(NotFound):
        await store.join(session_id, user="bob")
    assert await store.do(LeaveSession, session_id, "bob") == "not_found"
    assert "session" in await store.do(AcceptInvite, session_id, "bob", invite_hash="h")
    assert (await store.join(session_id, user="bob")).session.users == ["ada", "bob"]


async def test_longest_member_becomes_owner_when_the_owner_leaves(store: StoreHarness) -> None:
    """The last member who leaves deletes the session."""
    session_id = await store.session("zoe", "bob")
    await store.do(LeaveSession, session_id)
    assert [(s.owner_id, s.users) for s in store.updated] == [("zoe", ["zoe", "bob"])]
    assert await store.do(UpdateSession, session_id, "zoe", title=None, reply_policy="all") != "forbidden"
    await store.do(LeaveSession, session_id, "zoe")
    await store.do(LeaveSession, session_id, "bob")
    assert [(e.users, e.whole) for e in store.events(SessionDeleted)] == [(["bob"], True)]
    assert await store.do(AcceptInvite, session_id, "bob", invite_hash="h") == "not_found"


async def test_removal_of_a_user_ends_open_invites(store: StoreHarness) -> None:
    """Those of the same batch too. Removing an unknown user changes nothing, removing oneself conflicts."""
    session_id = await store.session("bob")
    assert await store.do(RemoveUser, session_id, removed_id="ada") == "conflict"
    fields = {"session_id": session_id, "user_id": "ada"}
    await store.apply(
        CreateInvite(**fields, invite_hash="new", expires_at=expiry(60), max_uses=None),
        RemoveUser(**fields, removed_id="bob"),
        CreateInvite(**fields, invite_hash="after", expires_at=expiry(60), max_uses=None),
    )
    assert [(s.users, s.seq) for s in store.updated] == [(["ada"], 2)]
    assert [e.users for e in store.events(SessionDeleted)] == [["bob"]]
    for secret in ("h", "new"):
        assert await store.do(AcceptInvite, session_id, "bob", invite_hash=secret) == "not_found"
    assert (await store.do(RemoveUser, session_id, removed_id="bob"))["session"]["seq"] == 2
    assert store.published == []
    assert "session" in await store.do(AcceptInvite, session_id, "bob", invite_hash="after")


async def test_read_mark_only_rises(store: StoreHarness) -> None:
    """At most to the newest number; a mark that is not higher is not published, and none takes a number."""
    session_id = await store.session("bob")
    await store.turn(session_id)
    for seq, published in ((3, 3), (2, None), (10**15, 4), (4, None)):
        assert await store.do(MarkRead, session_id, "bob", seq=seq) == {}
        assert [event.seq for event in store.events(ReadMarked)] == ([published] if published else [])
    assert [key[0] for _, key, _ in store.published] == []
    assert (await store.join(session_id, user="bob")).session.read_seq == 4
    assert (await store.join(session_id)).session.read_seq == 0
    assert (await store.join(session_id)).last_seq == 4


async def test_start_join_and_leave_in_one_batch_give_the_stored_order_of_members(store: StoreHarness) -> None:
    command = start(user="zoe")
    fields: dict[str, Any] = {"session_id": command.session_id}
    await store.apply(
        command,
        CreateInvite(**fields, user_id="zoe", invite_hash="h", expires_at=expiry(60), max_uses=None),
        AcceptInvite(**fields, user_id="cem", invite_hash="h"),
        AcceptInvite(**fields, user_id="bob", invite_hash="h"),
        LeaveSession(**fields, user_id="bob"),
        AcceptInvite(**fields, user_id="bob", invite_hash="h"),
        AcceptInvite(**fields, user_id="dan", invite_hash="h"),
        LeaveSession(**fields, user_id="dan"),
    )
    in_memory = store.updated[-1]
    joined = await store.join(command.session_id, user="zoe")
    assert joined.session.users == in_memory.users
    assert joined.session.users[0] == "zoe"
    assert set(joined.session.users) == {"zoe", "bob", "cem"}


async def test_condition_on_the_number_of_a_session_is_checked_in_the_transaction(store: StoreHarness) -> None:
    """After membership and ownership. Of two changes in one batch with the same condition, the first one applies."""
    session_id = await store.session("bob", title="t")
    change = {"session_id": session_id, "user_id": "bob", "title": "a", "reply_policy": None}
    late = DeleteSession(session_id=session_id, user_id="ada", if_seq=[1])
    batch = [UpdateSession(**change, if_seq=[1]), UpdateSession(**{**change, "title": "b"}, if_seq=[1]), late]
    applied = await store.apply(*batch)
    codes = [reply.error.code if reply.error else None for _, reply in applied.batch.answers]
    assert codes == [None, "conflict", "conflict"]
    assert (await store.join(session_id)).session.title == "a"
    for user, expected in (("eve", "not_found"), ("bob", "forbidden"), ("ada", "conflict")):
        assert await store.do(DeleteSession, session_id, user, if_seq=[]) == expected
    assert await store.do(UpdateSession, session_id, title=None, reply_policy=None, if_seq=[7]) == "conflict"
    assert await store.do(DeleteSession, session_id, if_seq=[7, 2]) == {}

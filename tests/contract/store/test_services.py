"""Services: what their scopes let them read, the records of their accesses, and their part in a chain of chatbots."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert

from persistence_worker.domain.state import Access
from persistence_worker.storage import access_store
from persistence_worker.storage.tables import erased_users
from shared.contracts import queries as q
from shared.contracts.commands import (
    AddChatbot,
    CreateInvite,
    DeleteSession,
    EditMessage,
    LeaveSession,
    MarkRead,
    RateReply,
    RegenerateReply,
    RemoveChatbot,
    RemoveUser,
    StopReply,
    UpdateSession,
)
from shared.contracts.events import MessageRejected
from shared.errors import Forbidden, NotFound
from tests.contract.store.harness import StoreHarness, outcome
from tests.support.commands import ADA, NOON, expiry, finish, send, start

BOT = "service:watch"
MINE = "service:member"


def reads(session_id: UUID, message_id: UUID, scopes: list[str] | None, user: str = BOT) -> list[Any]:
    """Return every query about one session, as asked by a service."""
    of = {"user_id": user, "session_id": session_id, "scopes": scopes}
    return [
        q.JoinSession(**of, after_seq=None, limit=9),
        q.JoinSession(**of, after_seq=0, limit=9),
        q.ReadSession(**of),
        q.ReadMessage(**of, message_id=message_id),
        q.ReadAnswer(**of, message_id=message_id),
        q.ReadHistory(**of, before_seq=None, after_seq=None, limit=9),
    ]


async def recorded(store: StoreHarness, **only: Any) -> list[Access]:
    asked = {"service": None, "session_id": None, "limit": 100, **only}
    return [access for _, access in await store.database.read(lambda c: access_store.accesses(c, **asked))]


async def filled(store: StoreHarness, *others: str) -> tuple[UUID, UUID]:
    """Create a session with one message; return both ids."""
    session_id = await store.session(*others, reply_policy="silent")
    command = send(session_id)
    await store.apply(command)
    return session_id, command.message_id


async def test_transcripts_reads_any_session_and_each_access_is_recorded(store: StoreHarness) -> None:
    session_id, message_id = await filled(store)
    for query in reads(session_id, message_id, ["transcripts"]):
        await store.ask(query)
    kinds = ["follow", "follow", "session", "message", "answer", "messages"]
    assert await recorded(store) == [Access(BOT, session_id, what) for what in kinds]
    assert await recorded(store, limit=2) == [Access(BOT, session_id, what) for what in kinds[-2:]]
    assert await recorded(store, service=BOT, session_id=session_id) == await recorded(store)
    assert await recorded(store, service="service:other") == []
    assert await recorded(store, session_id=uuid4()) == []


@pytest.mark.parametrize("scopes", [["chat"], ["users"], ["chat", "users"], []])
async def test_other_scopes_read_no_foreign_session(store: StoreHarness, scopes: list[str]) -> None:
    """A session that exists and one that does not have the same answer."""
    session_id, message_id = await filled(store)
    for real, unknown in zip(reads(session_id, message_id, scopes), reads(uuid4(), message_id, scopes), strict=True):
        errors = []
        for query in (real, unknown):
            with pytest.raises(NotFound) as refused:
                await store.ask(query)
            errors.append(refused.value.detail)
        assert errors[0] == errors[1]
    assert await recorded(store) == []


async def test_missing_and_deleted_sessions_are_not_recorded(store: StoreHarness) -> None:
    session_id, message_id = await filled(store)
    await store.do(DeleteSession, session_id)
    for missing in (session_id, uuid4()):
        for query in reads(missing, message_id, ["transcripts"]):
            with pytest.raises(NotFound):
                await store.ask(query)
    assert await recorded(store) == []


async def test_member_needs_the_scope_chat_and_is_not_recorded(store: StoreHarness) -> None:
    session_id, message_id = await filled(store, MINE)
    for scopes in (["chat"], ["transcripts"], ["chat", "transcripts"]):
        for query in reads(session_id, message_id, scopes, MINE):
            await store.ask(query)
    for query in reads(session_id, message_id, ["users"], MINE):
        with pytest.raises(Forbidden):
            await store.ask(query)
    assert await recorded(store) == []


@pytest.mark.parametrize("scopes", [["transcripts"], ["users"], []])
async def test_lists_and_searches_need_the_scope_chat(store: StoreHarness, scopes: list[str]) -> None:
    """They contain own sessions only, also with `transcripts`."""
    session_id, _ = await filled(store)
    listed = q.ListSessions(user_id=BOT, cursor=None, limit=9, scopes=scopes)
    search = {"user_id": BOT, "query": "hello", "cursor": None, "limit": 9}
    for query in (
        listed,
        q.SearchMessages(**search, session_id=None, scopes=scopes),
        q.SearchMessages(**search, session_id=session_id, scopes=scopes),
    ):
        with pytest.raises(Forbidden):
            await store.ask(query)
    assert (await store.ask(listed.replace(scopes=["chat", *scopes]))).sessions == []
    with pytest.raises(NotFound):
        await store.ask(q.SearchMessages(**search, session_id=session_id, scopes=["chat", "transcripts"]))


def owned(message_id: UUID) -> list[tuple[Any, dict[str, Any]]]:
    """Return the commands that no scope but `chat` allows, and that only to members."""
    return [
        (UpdateSession, {"title": "x", "reply_policy": None}),
        (UpdateSession, {"title": None, "reply_policy": "all"}),
        (AddChatbot, {"chatbot_id": "eliza"}),
        (RemoveChatbot, {"chatbot_id": "echo"}),
        (CreateInvite, {"invite_hash": "h", "expires_at": expiry(60), "max_uses": None}),
        (LeaveSession, {}),
        (RemoveUser, {"removed_id": ADA}),
        (MarkRead, {"seq": 1}),
        (RateReply, {"message_id": message_id, "rating": 1, "comment": None}),
        (DeleteSession, {}),
    ]


def written(message_id: UUID) -> list[tuple[Any, dict[str, Any]]]:
    return [
        (EditMessage, {"message_id": message_id, "content": "x"}),
        (StopReply, {"message_id": message_id}),
        (RegenerateReply, {"message_id": message_id}),
    ]


@pytest.mark.parametrize(
    ("scopes", "code"),
    [(["chat"], "not_found"), (["users"], "not_found"), (["chat", "transcripts"], "forbidden"), (None, "not_found")],
)
async def test_foreign_session_is_not_changed_without_the_scope_sessions(
    store: StoreHarness, scopes: list[str] | None, code: str
) -> None:
    """`forbidden` if the service may see the session, and else as if there was none."""
    session_id, message_id = await filled(store)
    for kind, fields in owned(message_id) + written(message_id):
        assert await store.do(kind, session_id, BOT, scopes=scopes, **fields) == code, kind
        assert await store.do(kind, uuid4(), BOT, scopes=scopes, **fields) == "not_found", kind
    await store.apply(send(session_id, "x", BOT, scopes=scopes))
    assert store.stored == []
    assert [event.code for event in store.events(MessageRejected)] == [code]
    assert await recorded(store) == []


async def test_sessions_allows_nothing_that_is_the_owners(store: StoreHarness) -> None:
    session_id, message_id = await filled(store)
    for kind, fields in owned(message_id):
        for scopes in (["sessions"], ["sessions", "chat"]):
            assert await store.do(kind, session_id, BOT, scopes=scopes, **fields) == "forbidden", kind
    assert (await store.join(session_id)).session.users == [ADA]


async def test_sessions_writes_stops_and_regenerates_in_any_session_and_is_recorded(store: StoreHarness) -> None:
    await store.announce()
    session_id, scopes = await store.session(), ["sessions"]
    command = send(session_id, "from outside", BOT, scopes=scopes)
    await store.apply(command)
    assert [(m.sender_type, m.sender_id) for m in store.stored] == [("user", BOT)]
    [turn] = store.turns
    await store.apply(command)
    assert store.stored == [], "a repetition is neither stored nor recorded again"
    assert await store.do(StopReply, session_id, BOT, message_id=turn.message_id, scopes=scopes) == {}
    await store.apply(finish(turn))
    found = await store.do(RegenerateReply, session_id, BOT, message_id=turn.message_id, scopes=scopes)
    [again] = store.turns
    assert found == {"message_id": str(again.message_id)}
    await store.apply(finish(again))
    edit = {"message_id": command.message_id, "content": "changed", "scopes": scopes}
    assert await store.do(EditMessage, session_id, BOT, **edit) == {}
    foreign = send(session_id, "Ada's")
    await store.apply(foreign)
    edit["message_id"] = foreign.message_id
    assert await store.do(EditMessage, session_id, BOT, **edit) == "forbidden"
    # The refused edit is recorded too.
    assert [access.what for access in await recorded(store)] == ["send", "stop", "regenerate", "edit", "edit"]
    assert (await store.join(session_id)).session.users == [ADA], "it is no member"


async def test_member_with_sessions_only_is_not_recorded(store: StoreHarness) -> None:
    session_id, _ = await filled(store, MINE)
    await store.apply(send(session_id, "x", MINE, scopes=["sessions"]))
    assert len(store.stored) == 1
    await store.apply(send(session_id, "x", MINE, scopes=["transcripts"]))
    assert store.stored == []
    assert await recorded(store) == []


async def test_session_for_others_has_them_as_members_in_order(store: StoreHarness) -> None:
    await store.announce()
    command = start(user=BOT, users=["bob", ADA, "bob", "carl"], scopes=["sessions"])
    created = outcome(await store.apply(command))
    assert (created["session"]["owner_id"], created["session"]["users"]) == ("bob", ["bob", ADA, "carl"])
    assert created["created"] is True
    assert [session.users for session in store.updated] == [["bob", ADA, "carl"]]
    again = outcome(await store.apply(command.replace(users=["eve"])))
    assert (again["session"]["users"], again["created"]) == (["bob", ADA, "carl"], False)
    assert (await store.join(command.session_id, user="bob")).session.users == ["bob", ADA, "carl"]
    with pytest.raises(NotFound):
        await store.join(command.session_id, user=BOT)
    assert [access.what for access in await recorded(store)] == ["start", "start"]
    await store.do(DeleteSession, command.session_id, "bob")
    assert outcome(await store.apply(command)) == "not_found"


@pytest.mark.parametrize("scopes", [None, [], ["chat"], ["transcripts"], ["users", "chat"]])
async def test_only_sessions_starts_a_session_for_others(store: StoreHarness, scopes: list[str] | None) -> None:
    await store.announce()
    assert outcome(await store.apply(start(user=BOT, users=[ADA], scopes=scopes))) == "forbidden"
    assert await recorded(store) == []


async def test_session_for_erased_or_too_many_users_is_refused(store: StoreHarness) -> None:
    await store.announce()
    await store.database.write(lambda c: c.execute(insert(erased_users).values(user_id="gone", erased_at=NOON)))
    command = start(user=BOT, users=[ADA, "gone"], scopes=["sessions"])
    assert outcome(await store.apply(command)) == "not_found"
    many = start(user=BOT, users=[f"user-{n}" for n in range(101)], scopes=["sessions"])
    assert outcome(await store.apply(many)) == "conflict"
    assert outcome(await store.apply(start(user=BOT, scopes=["sessions"]))) == "forbidden", "its own needs `chat`"


async def chained(store: StoreHarness, session_id: UUID, user: str) -> int:
    """Let a principal answer each reply of the chatbot; return how many turns there were."""
    turns, reply_to = 0, None
    while turns < 10:
        await store.apply(send(session_id, f"message {turns}", user, reply_to=reply_to))
        if not store.turns:
            return turns
        [turn] = store.turns
        turns += 1
        await store.apply(finish(turn, "and you?"))
        reply_to = turn.message_id
    return turns


async def test_service_that_answers_a_chatbot_counts_in_the_chain_of_four(store: StoreHarness) -> None:
    await store.announce()
    assert await chained(store, await store.session(BOT), BOT) == 4
    assert await chained(store, await store.session(), ADA) == 10, "a user may go on"


async def test_message_of_a_service_that_answers_no_chatbot_begins_a_chain(store: StoreHarness) -> None:
    await store.announce()
    session_id = await store.session(BOT)
    assert await chained(store, session_id, BOT) == 4
    for reply_to in (None, uuid4(), (await store.join(session_id)).messages[0].id):
        await store.apply(send(session_id, "again", BOT, reply_to=reply_to))
        [turn] = store.turns
        assert turn is not None
        await store.apply(finish(turn, ""))


async def test_edit_of_a_service_does_not_shorten_the_chain(store: StoreHarness) -> None:
    await store.announce()
    session_id = await store.session(BOT, chatbot_ids=["echo", "eliza"])
    reply_to = None
    for n in range(3):
        command = send(session_id, f"message {n}", BOT, reply_to=reply_to)
        await store.apply(command)
        [turn] = store.turns
        await store.apply(finish(turn, "and you?"))
        reply_to = turn.message_id
    await store.do(EditMessage, session_id, BOT, message_id=command.message_id, content="@eliza instead")
    [turn] = store.turns
    await store.apply(finish(turn, "and you?"))
    await store.apply(send(session_id, "@eliza more", BOT, reply_to=turn.message_id))
    [turn] = store.turns
    await store.apply(finish(turn, "and you?"))
    await store.apply(send(session_id, "@eliza more", BOT, reply_to=turn.message_id))
    assert store.turns == []

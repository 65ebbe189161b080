"""Services: what their scopes let them read, the records of their accesses, and their part in a chain of chatbots."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from persistence_worker.storage import access_store
from persistence_worker.storage.access_store import Access
from shared.contracts import queries as q
from shared.contracts.commands import AddChatbot, DeleteSession, EditMessage, UpdateSession
from shared.errors import Forbidden, NotFound
from tests.contract.store.harness import StoreHarness
from tests.support.commands import ADA, finish, send

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


async def test_no_scope_changes_a_foreign_session(store: StoreHarness) -> None:
    session_id, message_id = await filled(store)
    for kind, fields in (
        (UpdateSession, {"title": "x", "reply_policy": None}),
        (EditMessage, {"message_id": message_id, "content": "x"}),
        (AddChatbot, {"chatbot_id": "eliza"}),
        (DeleteSession, {}),
    ):
        assert await store.do(kind, session_id, BOT, **fields) == "not_found"
    await store.apply(send(session_id, "x", BOT))
    assert store.stored == []


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

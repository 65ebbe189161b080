"""Deletion of an account, its publication, and the export (contract.md §1.5)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import select

from auth_service.storage.tables import identities, logins, outbox, users
from shared.bus.port import Bus
from shared.contracts.accounts import UserDeleted
from shared.contracts.envelope import Event, read_body
from shared.contracts.queries import ExportedSession, ExportUser, Reply
from shared.contracts.topology import accounts_queue, query_queue
from tests.integration.auth_service.conftest import GOOD, Running, assert_problem
from tests.support.waiting import until

SESSION = {
    "session": {
        "id": "5b1e4b1e-6c1b-4e5e-9d57-0d6b0a2c5c11",
        "title": "A chat",
        "owner_id": "alice",
        "users": ["alice"],
        "chatbots": [],
        "reply_policy": "mentioned",
        "seq": 0,
        "last_seq": 0,
        "created_at": "2026-11-23T09:30:00.000Z",
        "updated_at": "2026-11-23T09:30:00.000Z",
        "read_seq": 0,
    },
    "messages": [],
    "ratings": [],
}


@pytest.fixture
async def alice(auth: Running) -> dict[str, Any]:
    await auth.register("alice")
    return await auth.tokens("alice", **{"User-Agent": "Firefox"})


async def outbox_is_empty(auth: Running) -> bool:
    return not await waiting(auth)


async def waiting(auth: Running) -> list[str]:
    async with auth.engine.connect() as connection:
        return [row.id for row in await connection.execute(select(outbox))]


async def test_deleted_account_is_erased_and_its_id_stays_reserved(auth: Running, alice: dict[str, Any]) -> None:
    other = await auth.tokens("alice")
    assert_problem(await auth.ask("DELETE", "/me", alice, json={}), 422, "invalid_request")
    assert_problem(await auth.ask("DELETE", "/me", alice, json={"passcode": "x"}), 401, "invalid_credentials")
    assert (await auth.ask("DELETE", "/me", alice, json={"passcode": GOOD})).status_code == 204
    for tokens in (alice, other):
        assert_problem(await auth.ask("GET", "/me", tokens), 401, "token_invalid")
        assert_problem(await auth.refresh(tokens), 401, "token_invalid")
    assert_problem(await auth.login("alice"), 401, "invalid_credentials")
    assert_problem(await auth.register("Alice"), 409, "user_exists")
    async with auth.engine.connect() as connection:
        (row,) = (await connection.execute(select(users))).all()
        devices = (await connection.execute(select(logins.c.device, logins.c.revoked_at))).all()
        assert not (await connection.execute(select(identities))).all()
    assert (row.passcode_hash, row.roles) == ("", [])
    assert all(device is None and revoked_at is not None for device, revoked_at in devices)


async def test_deletion_stays_in_the_outbox_until_the_broker_confirms_it(auth: Running, alice: dict[str, Any]) -> None:
    """Without a queue the broker refuses it; the event stays in the outbox and keeps its id."""
    await auth.ask("DELETE", "/me", alice, json={"passcode": GOOD})
    (event_id,) = await waiting(auth)
    subscription = await auth.bus.subscribe(accounts_queue(), prefetch=10)
    async with asyncio.timeout(45):
        batch = await subscription.take()
        await subscription.ack(batch.deliveries)
    await until(lambda: outbox_is_empty(auth), 45)
    (told,) = read_body(batch.deliveries[0].body)
    assert (told.id, told.parse(UserDeleted).user_id) == (event_id, "alice")


async def test_one_of_concurrent_deletions_succeeds(auth: Running, alice: dict[str, Any]) -> None:
    form = {"passcode": GOOD}
    answers = await asyncio.gather(*(auth.ask("DELETE", "/me", alice, json=form) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [204] + [401] * 7
    assert len(await waiting(auth)) == 1


@asynccontextmanager
async def persistence(bus: Bus, *replies: Reply) -> AsyncIterator[list[ExportUser]]:
    """Answer queries, one after another, with the given replies."""
    subscription = await bus.subscribe(query_queue(), prefetch=10)
    asked: list[ExportUser] = []

    async def serve() -> None:
        answers = iter(replies)
        while True:
            batch = await subscription.take()
            for delivery in batch.deliveries:
                for query in read_body(delivery.body):
                    asked.append(query.parse(ExportUser))
                    bus.respond(query, Event(source="persistence_worker", data=next(answers)))
            await subscription.ack(batch.deliveries)

    task = asyncio.create_task(serve())
    try:
        yield asked
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_export_has_account_logins_and_all_pages_of_sessions(auth: Running, alice: dict[str, Any]) -> None:
    pages = [
        Reply(result={"sessions": [SESSION, SESSION], "next_cursor": "more"}),
        Reply(result={"sessions": [SESSION], "next_cursor": None}),
    ]
    async with persistence(auth.bus, *pages) as asked:
        answer = await auth.ask("GET", "/me/export", alice)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert "attachment" in answer.headers["content-disposition"]
    export = answer.json()
    assert export["account"] == (await auth.ask("GET", "/me", alice)).json()
    assert [login["device"] for login in export["logins"]] == ["Firefox"]
    assert [ExportedSession.read(part) for part in export["sessions"]] == [ExportedSession.read(SESSION)] * 3
    assert asked == [ExportUser(user_id="alice", cursor=cursor) for cursor in (None, "more")]


async def test_export_of_a_user_without_chats_is_complete(auth: Running, alice: dict[str, Any]) -> None:
    async with persistence(auth.bus, Reply(result={"sessions": [], "next_cursor": None})):
        assert (await auth.ask("GET", "/me/export", alice)).json()["sessions"] == []


async def test_export_is_unavailable_without_persistence(auth: Running, alice: dict[str, Any]) -> None:
    async with asyncio.timeout(30):
        assert_problem(await auth.ask("GET", "/me/export", alice), 503, "unavailable")

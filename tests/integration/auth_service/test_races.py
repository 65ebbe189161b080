"""Concurrent requests on two replicas of auth with PostgreSQL: one winner in any order (ASVS 15.4.2)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select

from auth_service.storage.tables import outbox, refresh_tokens
from tests.integration.auth_service.conftest import GOOD, Running, running
from tests.support.waiting import pause

AT_ONCE = 40  # tests/e2e/test_logins.py has two hundred over HTTP
Replicas = tuple[Running, Running]
Ask = Callable[[], Awaitable[httpx2.Response]]

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
async def replicas(postgresql_url: str, tmp_path: Path) -> AsyncIterator[Replicas]:
    """Two replicas with the same keys."""
    settings: dict[str, Any] = {"limits": "off", "hashing_queue": 1_000}
    async with AsyncExitStack() as both:
        one = await both.enter_async_context(running(postgresql_url, tmp_path / "one" / "keys", **settings))
        shutil.copytree(tmp_path / "one" / "keys", tmp_path / "two" / "keys")
        yield one, await both.enter_async_context(running(postgresql_url, tmp_path / "two" / "keys", **settings))


async def told(ask: Ask) -> httpx2.Response:
    """Return the first answer other than `unavailable`, which a busy machine may give."""
    answer = await ask()
    while answer.status_code == 503:
        await pause(float(answer.headers["retry-after"]), "the client obeys `Retry-After`")
        answer = await ask()
    return answer


async def test_concurrent_registrations_on_two_replicas_have_one_winner(replicas: Replicas) -> None:
    """Each registration has another passcode; only the passcode of the winner logs in."""
    asks = [partial(replicas[n % 2].register, "Alice", f"correct horse {n}") for n in range(AT_ONCE)]
    answers = await asyncio.gather(*map(told, asks))
    codes = [answer.status_code for answer in answers]
    assert set(codes) <= {201, 409}
    assert codes.count(201) <= 1, "none, if the winner was told that it is unknown, and asked again"
    logins = [await told(partial(replicas[0].login, "alice", f"correct horse {n}")) for n in range(AT_ONCE)]
    let_in = [login.status_code == 200 for login in logins]
    assert let_in.count(True) == 1
    assert 201 not in codes or codes.index(201) == let_in.index(True)


async def test_concurrent_refreshes_have_one_successor(replicas: Replicas) -> None:
    """A later refresh on either replica returns the token of the first one."""
    await replicas[0].register("alice")
    tokens = await replicas[0].tokens("alice")
    for _ in range(4):
        asks = [partial(replicas[n % 2].refresh, tokens) for n in range(24)]
        answers = await asyncio.gather(*map(told, asks))
        assert {answer.status_code for answer in answers} == {200}
        (successor,) = {answer.json()["refresh_token"] for answer in answers}
        assert successor != tokens["refresh_token"]
        tokens = answers[0].json()
    async with replicas[0].engine.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(refresh_tokens)) == 1 + 4


async def test_concurrent_refreshes_with_old_and_new_token_never_both_succeed(replicas: Replicas) -> None:
    """Afterwards the login is revoked, or only the holder of the newest token got a token."""
    await replicas[0].register("alice")
    for _ in range(6):
        old = await replicas[0].tokens("alice")
        new = (await replicas[0].refresh(old)).json()
        asks = [partial(replicas[n % 2].refresh, (old, new)[n % 3 == 0]) for n in range(12)]
        answers = await asyncio.gather(*map(told, asks))
        given = {answer.json()["refresh_token"] for answer in answers if answer.status_code == 200}
        assert len(given - {new["refresh_token"]}) <= 1, "the successor of the newest, if any"
        if any(answer.status_code == 401 for answer in answers):
            for token in (old["refresh_token"], new["refresh_token"], *given):
                assert (await replicas[1].refresh({"refresh_token": token})).status_code == 401


async def test_no_login_survives_a_concurrent_deletion(replicas: Replicas) -> None:
    await replicas[0].register("alice")
    tokens = await replicas[0].tokens("alice")

    asks: list[Ask] = []
    for n in range(12):
        replica = replicas[n % 2]
        asks += [partial(replica.ask, "DELETE", "/me", tokens, json={"passcode": GOOD})]
        asks += [partial(replica.login, "alice"), partial(replica.refresh, tokens)]
    answers = await asyncio.gather(*map(told, asks))
    assert [answer.status_code for answer in answers[::3]].count(204) == 1
    assert {answer.status_code for answer in answers} <= {200, 204, 401}
    for answer in answers:
        if answer.status_code == 200:
            assert (await replicas[0].me(f"Bearer {answer.json()['access_token']}")).status_code == 401
            assert (await replicas[1].refresh(answer.json())).status_code == 401
    async with replicas[0].engine.connect() as connection:
        told_of = await connection.scalar(select(func.count()).select_from(outbox))
    assert told_of in (0, 1), "at most once, and not any more if the bus has taken it"

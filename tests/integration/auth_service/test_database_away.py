"""Outages of the database (contract P7), on a private PostgreSQL."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.integration.auth_service.conftest import GOOD, Running, running
from tests.support.servers import PostgreSQL
from tests.support.waiting import until

PROMISED = 6.0  # seconds (contract P7)
ATTEMPTS = 4  # the best of these must be within the limit, since a loaded machine has long pauses

pytestmark = [pytest.mark.timeout(240), pytest.mark.postgresql]


@pytest.fixture
def database() -> Iterator[PostgreSQL]:
    server = PostgreSQL()
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
async def auth(database: PostgreSQL, tmp_path: Path) -> AsyncIterator[Running]:
    async with running(database.url(), tmp_path / "keys") as service:
        yield service


async def assert_unavailable(auth: Running, token: str) -> None:
    """Assert that every request is refused as `unavailable` in time."""
    took = []
    for _ in range(ATTEMPTS):
        begun = time.monotonic()
        answers: list[httpx2.Response] = await asyncio.gather(
            auth.register("bob"), auth.login("alice"), auth.me(f"Bearer {token}")
        )
        took.append(time.monotonic() - begun)
        for answer in answers:
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) >= 1
        if took[-1] < PROMISED:
            return
    pytest.fail(f"took {took} s")


async def until_ready(auth: Running, missing: list[str]) -> None:
    await until(lambda: list(auth.service.missing()) == missing, 60)


async def signed_in(auth: Running) -> str:
    await auth.register("alice")
    await asyncio.gather(*(auth.login("alice") for _ in range(8)))  # so that the pool holds several connections
    token: str = (await auth.login("alice")).json()["access_token"]
    return token


async def test_requests_succeed_after_a_database_restart(auth: Running, database: PostgreSQL) -> None:
    """Every pooled connection is closed; a request that gets one retries on a new connection."""
    token = await signed_in(auth)
    database.restart()
    answers = await asyncio.gather(*(auth.me(f"Bearer {token}") for _ in range(8)))
    assert [answer.status_code for answer in answers] == [200] * 8
    database.restart()
    assert (await auth.register("bob")).status_code == 201
    database.restart()
    assert (await auth.login("alice")).status_code == 200


async def test_requests_are_unavailable_in_time_while_the_database_is_down(auth: Running, database: PostgreSQL) -> None:
    token = await signed_in(auth)
    await until_ready(auth, [])
    database.kill()
    await assert_unavailable(auth, token)
    await until_ready(auth, ["database"])
    assert (await auth.client.get("/.well-known/jwks.json")).status_code == 200
    database.start()
    await until_ready(auth, [])
    assert (await auth.login("alice")).status_code == 200
    assert (await auth.register("bob")).status_code == 201


async def test_requests_are_unavailable_in_time_while_the_database_is_frozen(
    auth: Running, database: PostgreSQL
) -> None:
    """A frozen database closes no connection. Afterwards the pool has all its connections again."""
    token = await signed_in(auth)
    database.pause()
    try:
        for _ in range(2):
            await assert_unavailable(auth, token)
    finally:
        database.resume()

    async def all_admitted() -> bool:
        answers = await asyncio.gather(*(auth.login("alice", GOOD) for _ in range(12)))
        return {answer.status_code for answer in answers} == {200}

    await until(all_admitted, 60)

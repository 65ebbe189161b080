"""Rate limits (contract.md §1.2: `rate_limited` with `Retry-After`): guessing is slow and locks no owner out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from auth_service.storage import throttle_store
from auth_service.storage.tables import attempts
from shared.contracts.payload import utc_now
from tests.integration.auth_service.conftest import GOOD, Running, Serve, assert_problem

HOME, CAFE = "192.0.2.1", "198.51.100.7"


class Clock:
    """The throttle's clock: stopped at the start of the test, so that a slow machine changes no outcome.

    It starts at the machine's time, because the sweep of the same service deletes old tallies by the real clock.
    """

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(throttle_store, "utc_now", clock)
    return clock


class Place:
    """A client with a separate address."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client

    async def register(self, user_id: str) -> httpx2.Response:
        return await self.client.post("/register", json={"id": user_id, "passcode": GOOD})

    async def login(self, user_id: str, passcode: str = GOOD) -> httpx2.Response:
        return await self.client.post("/login", json={"id": user_id, "passcode": passcode})

    async def fail(self, user_id: str, times: int) -> list[int]:
        return [(await self.login(user_id, "wrong horse")).status_code for _ in range(times)]


@asynccontextmanager
async def at(auth: Running, address: str, **headers: str) -> AsyncIterator[Place]:
    assert auth.service.app is not None
    transport = httpx2.ASGITransport(auth.service.app, client=(address, 1234))
    async with httpx2.AsyncClient(transport=transport, base_url="http://auth", headers=headers) as client:
        yield Place(client)


@pytest.fixture
async def strict(serve: Serve) -> AsyncIterator[Running]:
    """A service with few free failures."""
    budgets = {"login_failures": 3, "login_failures_address": 6, "login_failures_account": 6}
    async with serve(**budgets) as service:
        yield service


async def test_repeated_failures_delay_the_right_passcode_too(strict: Running) -> None:
    """Also for an unknown id, so that answers do not show which ids exist."""
    async with at(strict, HOME) as home, at(strict, CAFE) as cafe:
        await home.register("alice")
        hashes = strict.registry.get_sample_value("backchat_auth_hashing_seconds_count") or 0
        assert await cafe.fail("alice", 5) == [401] * 4 + [429]
        assert strict.registry.get_sample_value("backchat_auth_hashing_seconds_count") == hashes + 4
        refused = await cafe.login("alice")
        assert_problem(refused, 429, "rate_limited")
        assert int(refused.headers["retry-after"]) == 1
    async with at(strict, "203.0.113.9") as elsewhere:
        assert await elsewhere.fail("nobody", 5) == [401] * 4 + [429]


async def test_success_after_the_delay_resets_the_failures(strict: Running, clock: Clock) -> None:
    async with at(strict, HOME) as home:
        await home.register("alice")
        await home.fail("alice", 4)
        assert (await home.login("alice")).status_code == 429
        clock.forward(1.01)
        assert (await home.login("alice")).status_code == 200
        assert await home.fail("alice", 3) == [401] * 3


async def test_guesses_from_other_addresses_do_not_lock_out_a_known_address(strict: Running) -> None:
    """After guesses from many addresses the account is closed to unknown addresses only."""
    async with at(strict, HOME) as home, at(strict, CAFE) as cafe:
        await home.register("alice")
        answers = []
        for host in range(12):
            async with at(strict, f"203.0.113.{host}") as stranger:
                answers += await stranger.fail("alice", 1)
        assert answers == [401] * 7 + [429] * 5
        assert (await cafe.login("alice")).status_code == 429, "an address that nobody knows cannot be told apart"
        assert (await home.login("alice")).status_code == 200


async def test_failures_of_one_address_on_many_accounts_are_limited(strict: Running) -> None:
    async with at(strict, CAFE) as cafe, at(strict, HOME) as home:
        await home.register("bob")
        await home.login("bob")
        answers = [(await cafe.login(f"user-{n}", "wrong horse")).status_code for n in range(9)]
        assert answers == [401] * 7 + [429] * 2
        async with strict.engine.connect() as connection:
            rows = len((await connection.execute(select(attempts))).all())
        assert rows == 3 + 2 + 7 * 2, "who is refused leaves nothing behind"
        assert (await home.login("bob")).status_code == 200


async def test_addresses_of_an_ipv6_network_count_as_one(strict: Running) -> None:
    answers = []
    for host in range(6):
        async with at(strict, f"2001:db8:0:1::{host:x}") as place:
            answers += await place.fail("alice", 1)
    assert 429 in answers


async def test_concurrent_guesses_do_not_bypass_the_limit(auth: Running) -> None:
    async with at(auth, CAFE) as cafe:
        answers = await asyncio.gather(*(cafe.login("alice", "x") for _ in range(80)))
        codes = [answer.status_code for answer in answers]
        assert set(codes) <= {401, 429, 503}, "a busy machine may refuse to hash so many"
        assert codes.count(401) <= 50


async def test_concurrent_logins_with_the_right_passcode_succeed(auth: Running) -> None:
    await auth.register("alice")
    answers = await asyncio.gather(*(auth.login("alice") for _ in range(12)))
    assert {answer.status_code for answer in answers} == {200}


async def test_passcode_guesses_with_an_access_token_are_limited(strict: Running) -> None:
    await strict.register("alice")
    tokens = await strict.tokens("alice")
    codes = []
    for n in range(6):
        form = {"current_passcode": f"guess {n}", "new_passcode": "another horse"}
        codes.append((await strict.ask("PUT", "/me/passcode", tokens, json=form)).status_code)
        codes.append((await strict.ask("DELETE", "/me", tokens, json={"passcode": f"guess {n}"})).status_code)
    assert codes == [401] * 4 + [429] * 8


async def test_registrations_and_exports_are_limited_per_hour(serve: Serve) -> None:
    async with serve(registrations_per_hour=5, exports_per_hour=1) as auth, at(auth, CAFE) as cafe:
        assert [(await cafe.register(f"user-{n}")).status_code for n in range(8)] == [201] * 6 + [429] * 2
        async with at(auth, HOME) as home:
            assert (await home.register("alice")).status_code == 201
        tokens = await auth.tokens("alice")
        assert [(await auth.ask("GET", "/me/export", tokens)).status_code for _ in range(3)] == [503, 503, 429]


@pytest.mark.parametrize(("trusted", "expected"), [((), [401, 401, 429]), (("10.0.0.1",), [401] * 3)])
async def test_forwarded_address_counts_only_from_a_trusted_proxy(
    serve: Serve, trusted: tuple[str, ...], expected: list[int]
) -> None:
    async with serve(login_failures=1, trusted_proxies=trusted) as auth:
        codes: list[int] = []
        for host in range(3):
            forwarded: Any = {"X-Forwarded-For": f"198.51.100.{host}"}
            async with at(auth, "10.0.0.1", **forwarded) as proxy:
                codes += await proxy.fail("alice", 1)
        assert codes == expected


async def test_limits_can_be_disabled(serve: Serve) -> None:
    async with serve(limits="off", login_failures=1) as auth, at(auth, CAFE) as cafe:
        assert await cafe.fail("alice", 5) == [401] * 5
        async with auth.engine.connect() as connection:
            assert not (await connection.execute(select(attempts))).all()


async def test_no_address_and_no_guessed_id_is_stored(strict: Running) -> None:
    async with at(strict, CAFE) as cafe:
        await cafe.fail("alice", 1)
    async with strict.engine.connect() as connection:
        rows = (await connection.execute(select(attempts))).all()
    assert len(rows) == 3
    assert all(len(row.key) == 32 for row in rows)
    assert not any(word in repr(rows) for word in ("alice", "198.51", CAFE))

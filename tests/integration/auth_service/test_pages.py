"""Logins of pages: the refresh token in a cookie that no script can read (contract.md §1.3), and guests."""

import asyncio
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from typing import Any

import httpx2
import pytest
from sqlalchemy import update

from auth_service.domain.users import GUEST
from auth_service.jobs.sweep import Sweep
from auth_service.storage.sweep_store import SweepStore
from auth_service.storage.tables import logins, users
from auth_service.storage.transactions import Transactions
from shared.contracts.payload import utc_now
from tests.integration.auth_service.conftest import GOOD, Running, Serve, assert_problem

PAGE = {"X-Backchat-Session": "cookie", "Origin": "http://auth"}
FORM = {"id": "alice", "passcode": GOOD}


def cookie_of(answer: httpx2.Response) -> dict[str, Any]:
    (line,) = answer.headers.get_list("set-cookie")
    ((_, morsel),) = SimpleCookie(line).items()
    return {"value": morsel.value, **{name: value for name, value in morsel.items() if value}}


@pytest.fixture
async def page(auth: Running) -> Running:
    await auth.register("alice")
    return auth


async def test_refresh_token_of_a_page_is_only_in_a_cookie(page: Running) -> None:
    answer = await page.client.post("/login", json=FORM, headers=PAGE)
    assert set(answer.json()) == {"access_token", "token_type", "expires_in", "refresh_expires_in"}
    cookie = cookie_of(answer)
    first = cookie.pop("value")
    assert cookie == {"path": "/refresh", "httponly": True, "samesite": "strict", "max-age": "2592000"}
    page.client.cookies.clear()
    assert_problem(await page.client.post("/refresh", headers=PAGE), 401, "token_invalid")
    for body in ({}, {"json": {}}):
        refreshed = await page.client.post("/refresh", headers={**PAGE, "Cookie": f"backchat_refresh={first}"}, **body)
        assert refreshed.status_code == 200
        assert "refresh_token" not in refreshed.json()
        assert cookie_of(refreshed)["value"] != first
    page.client.cookies.clear()
    bearer = {**PAGE, "Authorization": f"Bearer {refreshed.json()['access_token']}"}
    gone = await page.client.post("/logout", headers=bearer)
    assert (gone.status_code, cookie_of(gone)["max-age"], cookie_of(gone)["path"]) == (204, "0", "/refresh")


async def test_revoked_cookie_is_cleared(page: Running) -> None:
    answer = await page.client.post("/refresh", headers={**PAGE, "Cookie": "backchat_refresh=nonsense"})
    assert_problem(answer, 401, "token_invalid")
    assert cookie_of(answer)["max-age"] == "0"


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "https://auth.evil.example", "http://auth/x"])
async def test_cookie_is_refused_for_other_origins(page: Running, origin: str | None) -> None:
    """A page of another origin cannot log a browser in, not even with the account of the attacker."""
    headers = {**PAGE, "Origin": origin} if origin else {"X-Backchat-Session": "cookie"}
    cookie = cookie_of(await page.client.post("/login", json=FORM, headers=PAGE))["value"]
    for path, body in (("/login", FORM), ("/refresh", {}), ("/guest", {})):
        answer = await page.client.post(path, json=body, headers={**headers, "Cookie": f"backchat_refresh={cookie}"})
        assert_problem(answer, 403, "forbidden")
    assert (await page.client.post("/refresh", headers=PAGE)).status_code == 200


async def test_cookie_is_neither_set_nor_read_without_the_header(page: Running) -> None:
    answer = await page.client.post("/login", json=FORM)
    assert "set-cookie" not in answer.headers
    token = answer.json()["refresh_token"]
    answer = await page.client.post("/refresh", json={}, headers={"Cookie": f"backchat_refresh={token}"})
    assert_problem(answer, 422, "invalid_request")


@pytest.mark.parametrize(
    ("origin", "forwarded", "secure"),
    [("https://auth", {}, True), ("http://auth", {}, False), ("https://auth", {"X-Forwarded-Proto": "https"}, True)],
)
async def test_cookie_is_secure_over_tls(serve: Serve, origin: str, forwarded: dict[str, str], *, secure: bool) -> None:
    """TLS is known from a trusted proxy or from the origin of the page."""
    async with serve(trusted_proxies=("127.0.0.1",) if forwarded else ()) as auth:
        await auth.register("alice")
        answer = await auth.client.post("/login", json=FORM, headers={**PAGE, "Origin": origin, **forwarded})
        assert answer.status_code == 200
        assert bool(cookie_of(answer).get("secure")) is secure
        assert ("strict-transport-security" in answer.headers) is bool(forwarded)


async def test_guest_route_is_not_found_unless_enabled(auth: Running) -> None:
    assert_problem(await auth.client.post("/guest"), 404, "not_found")


@pytest.fixture
async def open_house(serve: Serve) -> AsyncIterator[Running]:
    async with serve(guests="on", guests_per_hour=3) as auth:
        yield auth


async def test_guest_becomes_a_user_by_setting_a_passcode(open_house: Running) -> None:
    answer = await open_house.client.post("/guest")
    assert answer.status_code == 200
    guest = answer.json()
    me = (await open_house.ask("GET", "/me", guest)).json()
    assert (me["id"].startswith("guest-"), me["roles"]) == (True, ["guest"])
    assert_problem(await open_house.login(me["id"], GOOD), 401, "invalid_credentials")
    form = {"new_passcode": "another horse"}
    assert (await open_house.ask("PUT", "/me/passcode", guest, json=form)).status_code == 204
    assert (await open_house.ask("GET", "/me", guest)).json()["roles"] == ["user"]
    assert (await open_house.login(me["id"], "another horse")).status_code == 200
    assert_problem(await open_house.ask("PUT", "/me/passcode", guest, json=form), 422, "invalid_request")


async def test_guests_are_rate_limited_and_can_delete_their_account(open_house: Running) -> None:
    answers = [await open_house.client.post("/guest", headers=PAGE) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 2
    assert cookie_of(answers[0])["value"]
    assert (await open_house.ask("DELETE", "/me", answers[0].json())).status_code == 204
    assert_problem(await open_house.ask("GET", "/me", answers[0].json()), 401, "token_invalid")


async def test_guest_without_a_valid_login_is_deleted(open_house: Running) -> None:
    """Two days after its last login has expired; a guest with a valid login or a passcode is kept."""
    gone, here, user = [(await open_house.client.post("/guest")).json() for _ in range(3)]
    await open_house.ask("PUT", "/me/passcode", user, json={"new_passcode": GOOD})
    for tokens in (gone, user):
        await open_house.ask("POST", "/logout", tokens)
    sweep = Sweep(SweepStore(Transactions(open_house.engine)))
    assert await sweep.sweep_all() == 0, "they have just been here"
    long_ago = utc_now().replace(year=2020)
    async with open_house.engine.begin() as connection:
        await connection.execute(update(users).values(created_at=long_ago))
    assert await sweep.sweep_all() == 1
    assert (await open_house.ask("GET", "/me", here)).status_code == 200
    async with open_house.engine.connect() as connection:
        (row,) = (await connection.execute(users.select().where(users.c.deleted_at.is_not(None)))).all()
    assert row.roles == []
    assert GUEST == ("guest",)


async def test_expired_logins_are_swept(page: Running) -> None:
    """Also their tokens; a valid login is kept."""
    old, kept = await page.tokens("alice"), await page.tokens("alice")
    long_ago = utc_now().replace(year=2020)
    async with asyncio.timeout(20):
        sid = (await page.ask("GET", "/me/logins", old)).json()["logins"]
    (expired,) = [login["sid"] for login in sid if login["current"]]
    async with page.engine.begin() as connection:
        ended = {"expires_at": long_ago, "access_expires_at": long_ago}
        await connection.execute(update(logins).where(logins.c.sid == expired).values(ended))
    assert await Sweep(SweepStore(Transactions(page.engine))).sweep_all() == 1
    assert_problem(await page.refresh(old), 401, "token_invalid")
    assert (await page.refresh(kept)).status_code == 200

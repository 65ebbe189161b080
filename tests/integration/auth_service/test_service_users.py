"""Accounts that a service creates, lends logins to, and erases (scope `users`)."""

import asyncio
from datetime import datetime
from typing import Any

import httpx2
import jwt
import pytest
from sqlalchemy import select, update

from auth_service.storage.tables import outbox, users
from tests.integration.auth_service.conftest import GOOD, Running, assert_problem
from tests.integration.auth_service.test_services import command, new_key, reaches_gateways, token

ID = "shop-4711"


async def service(auth: Running, name: str, *scopes: str) -> dict[str, Any]:
    """Create a service and return its token."""
    return await token(auth, name, await new_key(auth, "create", name, "--scope", *scopes))


async def lend(auth: Running, tokens: dict[str, Any], user_id: str = ID) -> dict[str, Any]:
    answer = await auth.ask("POST", f"/v1/users/{user_id}/login", tokens)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def claims_of(tokens: dict[str, Any]) -> dict[str, Any]:
    return dict(jwt.decode(tokens["access_token"], options={"verify_signature": False}))


@pytest.fixture
async def shop(auth: Running) -> dict[str, Any]:
    """The token of a service that has created one account."""
    tokens = await service(auth, "shop", "users")
    assert (await auth.ask("PUT", f"/v1/users/{ID}", tokens)).status_code == 201
    return tokens


async def test_account_is_created_once(auth: Running, shop: dict[str, Any]) -> None:
    first, again, other = [await auth.ask("PUT", f"/v1/users/{each}", shop) for each in ("Ada.B", "ada.b", "bob")]
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 201)
    assert first.json() == again.json()
    assert set(first.json()) == {"id", "created_at"}
    assert first.json()["id"] == "ada.b"
    assert datetime.fromisoformat(first.json()["created_at"]).tzinfo
    assert first.headers["cache-control"] == "no-store"


async def test_of_concurrent_creations_one_is_new(auth: Running, shop: dict[str, Any]) -> None:
    answers = await asyncio.gather(*(auth.ask("PUT", "/v1/users/ada", shop) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]


async def test_id_of_any_other_account_is_taken(auth: Running, shop: dict[str, Any]) -> None:
    other = await service(auth, "other", "users")
    await auth.register("alice")
    await auth.register("gone")
    gone = await auth.tokens("gone")
    assert (await auth.ask("DELETE", "/me", gone, json={"passcode": GOOD})).status_code == 204
    assert (await auth.ask("DELETE", f"/v1/users/{ID}", shop)).status_code == 204
    assert (await auth.ask("PUT", "/v1/users/theirs", other)).status_code == 201
    for user_id in ("alice", "ALICE", "gone", ID, "theirs"):
        assert_problem(await auth.ask("PUT", f"/v1/users/{user_id}", shop), 409, "user_exists")


@pytest.mark.parametrize("user_id", ["me", "ME", "...", "a:b", "service:shop", "ü", "x" * 65, "a b", "%00", "%F0%9F"])
async def test_id_that_no_account_can_have_is_refused(auth: Running, shop: dict[str, Any], user_id: str) -> None:
    assert_problem(await auth.ask("PUT", f"/v1/users/{user_id}", shop), 422, "invalid_request")
    assert_problem(await auth.ask("POST", f"/v1/users/{user_id}/login", shop), 404, "not_found")
    assert_problem(await auth.ask("DELETE", f"/v1/users/{user_id}", shop), 404, "not_found")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/users/",
        "/v1/users",
        "/v1/users/a/",
        "/v1/users/a/b",
        "/v1/users/a%2Fb",
        "/v1//users/a",
        "/v1/%75sers/a",
        "/v1/users/%2e%2e",
    ],
)
async def test_other_spelling_of_a_path_is_not_found(auth: Running, shop: dict[str, Any], path: str) -> None:
    assert_problem(await auth.ask("PUT", path, shop), 404, "not_found")


async def test_lent_login_is_that_of_the_account(auth: Running, shop: dict[str, Any]) -> None:
    tokens = await lend(auth, shop)
    assert set(tokens) == {"access_token", "token_type", "expires_in", "refresh_token", "refresh_expires_in"}
    claims = claims_of(tokens)
    assert (claims["sub"], claims["aud"], claims["act"]) == (ID, "backchat", {"sub": "service:shop"})
    me = (await auth.ask("GET", "/me", tokens)).json()
    assert (me["id"], me["roles"]) == (ID, ["user"])
    refreshed = await auth.refresh(tokens)
    assert refreshed.status_code == 200
    assert claims_of(refreshed.json())["act"] == {"sub": "service:shop"}
    assert (await auth.ask("POST", "/logout", tokens)).status_code == 204
    assert_problem(await auth.refresh(refreshed.json()), 401, "token_invalid")
    await auth.register("alice")
    assert "act" not in claims_of(await auth.tokens("alice"))


async def test_account_of_a_service_has_no_passcode(auth: Running, shop: dict[str, Any]) -> None:
    tokens = await lend(auth, shop)
    for passcode in (GOOD, "x", ""):
        code = 401 if passcode else 422
        assert (await auth.login(ID, passcode)).status_code == code
    for form in ({"new_passcode": GOOD}, {"current_passcode": GOOD, "new_passcode": GOOD}):
        assert_problem(await auth.ask("PUT", "/me/passcode", tokens, json=form), 403, "forbidden")
    for form in ({}, {"passcode": GOOD}):
        assert_problem(await auth.ask("DELETE", "/me", tokens, json=form), 403, "forbidden")
    assert (await auth.ask("GET", "/me", tokens)).status_code == 200


async def test_passcode_set_by_an_operator_opens_no_login(auth: Running, shop: dict[str, Any]) -> None:
    """Only the service opens logins of its accounts."""
    await auth.register("alice")
    async with auth.engine.begin() as connection:
        hashed = await connection.scalar(select(users.c.passcode_hash).where(users.c.id == "alice"))
        await connection.execute(update(users).where(users.c.id == ID).values(passcode_hash=hashed))
    assert (await auth.login("alice")).status_code == 200
    assert_problem(await auth.login(ID), 401, "invalid_credentials")


async def test_erased_account_ends_its_logins_and_is_announced(auth: Running, shop: dict[str, Any]) -> None:
    tokens = await lend(auth, shop)
    assert (await auth.ask("DELETE", f"/v1/users/{ID}", shop)).status_code == 204
    assert_problem(await auth.ask("GET", "/me", tokens), 401, "token_invalid")
    assert_problem(await auth.refresh(tokens), 401, "token_invalid")
    await reaches_gateways(auth, claims_of(tokens)["sid"])
    assert_problem(await auth.ask("POST", f"/v1/users/{ID}/login", shop), 404, "not_found")
    assert (await auth.ask("DELETE", f"/v1/users/{ID}", shop)).status_code == 204, "a repetition changes nothing"

    async with auth.engine.connect() as connection:  # no consumer is running, so the event stays in the outbox
        [event] = (await connection.execute(select(outbox))).all()
    assert event.data["user_id"] == ID


async def test_account_of_another_does_not_exist_for_a_service(auth: Running, shop: dict[str, Any]) -> None:
    """The same answer for users, accounts of other services, and unknown ids."""
    other = await service(auth, "other", "users", "chat")
    await auth.register("alice")
    for method, path in (("POST", "/v1/users/{}/login"), ("DELETE", "/v1/users/{}")):
        answers = [await auth.ask(method, path.format(each), other) for each in ("alice", ID, "nobody")]
        for answer in answers:
            assert_problem(answer, 404, "not_found")
        assert len({answer.text for answer in answers}) == 1
    assert (await auth.login("alice")).status_code == 200
    await lend(auth, shop)


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/v1/users/x"), ("POST", f"/v1/users/{ID}/login"), ("DELETE", f"/v1/users/{ID}")]
)
async def test_scope_users_is_required(auth: Running, shop: dict[str, Any], method: str, path: str) -> None:
    await auth.register("alice")
    key = await new_key(auth, "create", "both", "--scope", "users", "chat")
    for tokens in (
        await auth.tokens("alice"),
        await lend(auth, shop),
        await service(auth, "chatty", "chat"),
        await token(auth, "both", key, scope="chat"),
    ):
        assert_problem(await auth.ask(method, path, tokens), 403, "forbidden")
    assert_problem(await auth.client.request(method, path), 401, "token_invalid")
    evil = {"Authorization": f"Bearer {shop['access_token']}", "Origin": "https://evil.example"}
    assert_problem(await auth.client.request(method, path, headers=evil), 403, "forbidden")
    await lend(auth, shop)


async def test_revoked_service_ends_the_logins_that_it_lent(auth: Running, shop: dict[str, Any]) -> None:
    other = await service(auth, "other", "users")
    await auth.ask("PUT", "/v1/users/theirs", other)
    first, second, theirs = await lend(auth, shop), await lend(auth, shop), await lend(auth, other, "theirs")
    await command(auth, "revoke", "shop", "--key", claims_of(shop)["sid"])
    assert (await auth.ask("GET", "/me", first)).status_code == 200, "the service still has other keys"
    await command(auth, "revoke", "shop")
    for tokens in (first, second):
        assert_problem(await auth.ask("GET", "/me", tokens), 401, "token_invalid")
        assert_problem(await auth.refresh(tokens), 401, "token_invalid")
        await reaches_gateways(auth, claims_of(tokens)["sid"])
    assert (await auth.ask("GET", "/me", theirs)).status_code == 200


async def test_login_lent_during_a_revocation_ends(auth: Running, shop: dict[str, Any]) -> None:
    lending = [asyncio.create_task(auth.ask("POST", f"/v1/users/{ID}/login", shop)) for _ in range(10)]
    await command(auth, "revoke", "shop")
    answers: list[httpx2.Response] = await asyncio.gather(*lending)
    assert {answer.status_code for answer in answers} <= {200, 401, 403}
    for answer in answers:
        if answer.status_code == 200:
            assert_problem(await auth.ask("GET", "/me", answer.json()), 401, "token_invalid")


async def test_disabled_account_gets_no_login(auth: Running, shop: dict[str, Any]) -> None:
    async with auth.engine.begin() as connection:
        await connection.execute(update(users).where(users.c.id == ID).values(disabled_at=datetime.now().astimezone()))
    assert_problem(await auth.ask("POST", f"/v1/users/{ID}/login", shop), 403, "forbidden")


async def test_no_cookie_is_set_for_a_lent_login(auth: Running, shop: dict[str, Any]) -> None:
    headers = {
        "Authorization": f"Bearer {shop['access_token']}",
        "X-Backchat-Session": "cookie",
        "Origin": "http://auth",
    }
    answer = await auth.client.post(f"/v1/users/{ID}/login", headers=headers)
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert answer.json()["refresh_token"]

"""Logins over HTTP: refresh, revocation, deletion of the account (contract.md §1)."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import httpx2
import pytest

from tests.support.client import PATIENCE, Account, Device, new_account
from tests.support.stack import Stack
from tests.support.waiting import pause


def http(stack: Stack) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=stack.auth_url, timeout=PATIENCE)


async def logged_in(client: httpx2.AsyncClient, account: Account) -> dict[str, Any]:
    answer = await client.post("/login", json={"id": account.id, "passcode": account.passcode})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def ask(client: httpx2.AsyncClient, method: str, path: str, tokens: dict[str, Any], **more: Any) -> Any:
    return await client.request(method, path, headers={"Authorization": f"Bearer {tokens['access_token']}"}, **more)


async def test_refresh_rotates_tokens_and_reuse_revokes_the_login(stack: Stack, account: Account) -> None:
    async with http(stack) as client:
        first = await logged_in(client, account)
        answers = await asyncio.gather(*(client.post("/refresh", json=_token(first)) for _ in range(8)))
        assert {answer.status_code for answer in answers} == {200}
        (successor,) = {answer.json()["refresh_token"] for answer in answers}
        third = (await client.post("/refresh", json={"refresh_token": successor})).json()
        assert (await ask(client, "GET", "/me", third)).status_code == 200
        stolen = await client.post("/refresh", json=_token(first))
        assert (stolen.status_code, stolen.json()["code"]) == (401, "token_invalid")
        for answer in (await client.post("/refresh", json=_token(third)), await ask(client, "GET", "/me", third)):
            assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


def _token(tokens: dict[str, Any]) -> dict[str, str]:
    return {"refresh_token": tokens["refresh_token"]}


async def test_logins_are_listed_and_revoked_singly_and_together(stack: Stack, account: Account) -> None:
    async with http(stack) as client:
        here, there = await logged_in(client, account), await logged_in(client, account)
        listed = (await ask(client, "GET", "/me/logins", here)).json()["logins"]
        assert len(listed) == 3, "the fixture logged in once"
        assert [login["current"] for login in listed].count(True) == 1
        others = [login["sid"] for login in listed if not login["current"]]
        assert (await ask(client, "DELETE", f"/me/logins/{others[0]}", here)).status_code == 204
        assert len((await ask(client, "GET", "/me/logins", here)).json()["logins"]) == 2
        assert (await ask(client, "POST", "/logout/all", here)).status_code == 204
        for tokens in (here, there):
            assert (await ask(client, "GET", "/me", tokens)).status_code == 401
            assert (await client.post("/refresh", json=_token(tokens))).status_code == 401


async def test_only_the_new_passcode_is_valid_after_a_change(stack: Stack, account: Account) -> None:
    async with http(stack) as client:
        tokens = await logged_in(client, account)
        form = {"current_passcode": account.passcode, "new_passcode": secrets.token_urlsafe(12)}
        assert (await ask(client, "PUT", "/me/passcode", tokens, json=form)).status_code == 204
        old = await client.post("/login", json={"id": account.id, "passcode": account.passcode})
        assert (old.status_code, old.json()["code"]) == (401, "invalid_credentials")
        new = await client.post("/login", json={"id": account.id, "passcode": form["new_passcode"]})
        assert new.status_code == 200


async def test_two_hundred_concurrent_registrations_of_one_id_have_one_winner(stack: Stack) -> None:
    """The only 5xx is `unavailable`, after which the outcome is unknown and the client retries after `retry-after`."""
    user_id = f"user-{secrets.token_hex(6)}"
    unknown = 0
    async with http(stack) as client:

        async def register(number: int) -> int:
            nonlocal unknown
            while True:
                answer = await client.post("/register", json={"id": user_id, "passcode": f"correct horse {number}"})
                if answer.status_code != 503:
                    return answer.status_code
                unknown += 1
                await pause(float(answer.headers["retry-after"]), "retry-after")

        codes = await asyncio.gather(*(register(number) for number in range(200)))
        assert set(codes) <= {201, 409}
        assert codes.count(201) == 1 or (unknown and 201 not in codes)
        if 201 in codes:
            winner = {"id": user_id, "passcode": f"correct horse {codes.index(201)}"}
            assert (await client.post("/login", json=winner)).status_code == 200


async def test_internal_endpoint_is_not_public(stack: Stack) -> None:
    """The port of the auth service is private; the single origin of the embedded system and of the edge is public."""
    async with http(stack) as client:
        answer = await client.get("/internal/revocations")
        described = (await client.get("/openapi.json")).json()["paths"]
    assert "/internal/revocations" not in described
    assert answer.status_code == (404 if stack.auth_url == stack.gateway_urls[0] else 200)


async def test_deleted_account_is_exported_first_and_its_id_stays_taken(stack: Stack) -> None:
    account = await new_account(stack.auth_url)
    async with Device(stack.gateway_urls[0], account.token) as device:
        session = await device.start_chat(reply_policy="silent")
        await device.send(session, "remember me")
        await device.until("message")
    async with http(stack) as client:
        tokens = await logged_in(client, account)
        export = (await ask(client, "GET", "/me/export", tokens)).json()
        assert export["account"]["id"] == account.id
        contents = [message["content"] for part in export["sessions"] for message in part["messages"]]
        assert contents == ["remember me"]
        wrong = await ask(client, "DELETE", "/me", tokens, json={"passcode": "not the passcode"})
        assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_credentials")
        assert (await ask(client, "DELETE", "/me", tokens, json={"passcode": account.passcode})).status_code == 204
        form = {"id": account.id, "passcode": account.passcode}
        assert (await client.post("/login", json=form)).status_code == 401
        assert (await client.post("/register", json=form)).status_code == 409
        assert (await ask(client, "GET", "/me", tokens)).status_code == 401


@pytest.mark.parametrize("path", ["/login", "/refresh"])
async def test_foreign_origin_gets_no_cookie(stack: Stack, account: Account, path: str) -> None:
    headers = {"X-Backchat-Session": "cookie", "Origin": "https://evil.example"}
    async with http(stack) as client:
        form = {"id": account.id, "passcode": account.passcode}
        answer = await client.post(path, json=form, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        own = await client.post("/login", json=form, headers={**headers, "Origin": stack.auth_url})
    assert own.status_code == 200
    assert "refresh_token" not in own.json()
    assert "HttpOnly" in own.headers["set-cookie"]

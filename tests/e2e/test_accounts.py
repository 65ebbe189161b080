"""Accounts over HTTP: register, log in, /me, published keys (contract.md §1 and §2)."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx2
import pytest

from tests.support.client import PATIENCE, Account
from tests.support.stack import Stack


def http(stack: Stack) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=stack.auth_url, timeout=PATIENCE)


def decoded(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


async def test_new_user_registers_and_logs_in(stack: Stack) -> None:
    body = {"id": "Ada.Lovelace", "passcode": "correct horse battery"}
    async with http(stack) as client:
        registered = await client.post("/register", json=body)
        assert registered.status_code == 201
        assert registered.json()["id"] == "ada.lovelace"
        assert registered.json()["created_at"].endswith("Z")
        login = (await client.post("/login", json=body)).json()
        assert set(login) == {"access_token", "token_type", "expires_in", "refresh_token", "refresh_expires_in"}
        assert (login["token_type"], login["expires_in"], login["refresh_expires_in"]) == ("bearer", 900, 2_592_000)
        me = await client.get("/me", headers={"Authorization": f"Bearer {login['access_token']}"})
        assert me.status_code == 200
        assert me.json() == {**registered.json(), "roles": me.json()["roles"]}
        again = await client.post("/register", json={**body, "id": "ADA.LOVELACE"})
        assert (again.status_code, again.json()["code"]) == (409, "user_exists")


@pytest.mark.parametrize("user_id", ["me", "Me", ".", "..", "...."])
async def test_ids_that_cannot_stand_in_a_path_are_refused(stack: Stack, user_id: str) -> None:
    async with http(stack) as client:
        refused = await client.post("/register", json={"id": user_id, "passcode": "correct horse battery"})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")


async def test_token_is_signed_by_a_published_key(stack: Stack, account: Account) -> None:
    header, claims = map(decoded, account.token.split(".")[:2])
    assert header["alg"] == "EdDSA"
    assert set(claims) == {"iss", "aud", "sub", "sid", "jti", "iat", "nbf", "exp", "roles"}
    assert (claims["aud"], claims["sub"], claims["exp"] - claims["iat"]) == ("backchat", account.id, 900)
    async with http(stack) as client:
        answer = await client.get("/.well-known/jwks.json")
    assert answer.headers["Cache-Control"]
    keys = {key["kid"]: key for key in answer.json()["keys"]}
    assert keys[header["kid"]].items() >= {"kty": "OKP", "crv": "Ed25519"}.items()
    assert not any("d" in key for key in keys.values()), "a private key is published"


@pytest.mark.parametrize(
    ("method", "path", "given", "status", "code"),
    [
        ("POST", "/login", {"json": {"id": "nobody", "passcode": "correct horse"}}, 401, "invalid_credentials"),
        ("POST", "/register", {"json": {"id": "eve", "passcode": "password"}}, 422, "weak_passcode"),
        ("POST", "/register", {"json": {"id": "not an id", "passcode": "correct horse"}}, 422, "invalid_request"),
        (
            "POST",
            "/register",
            {"content": b"{", "headers": {"Content-Type": "application/json"}},
            422,
            "invalid_request",
        ),
        ("POST", "/register", {"content": b"id=eve", "headers": {"Content-Type": "text/plain"}}, 415, None),
        ("POST", "/register", {"json": {"id": "eve", "passcode": "x" * 9000}}, 413, "payload_too_large"),
        ("GET", "/register", {}, 405, "method_not_allowed"),
        ("GET", "/me", {}, 401, "token_invalid"),
        ("GET", "/me", {"headers": {"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30."}}, 401, "token_invalid"),
        ("GET", "/nothing-here", {}, 404, "not_found"),
    ],
)
async def test_errors_are_problem_documents(
    stack: Stack, method: str, path: str, given: dict[str, Any], status: int, code: str | None
) -> None:
    async with http(stack) as client:
        answer = await client.request(method, path, **given)
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    problem = answer.json()
    assert {"type", "title", "status", "detail", "code"} <= set(problem)
    assert problem["code"] == (code or "unsupported_media_type")
    assert problem["status"] == status


async def test_wrong_passcode_and_unknown_user_are_indistinguishable(stack: Stack, account: Account) -> None:
    async with http(stack) as client:
        wrong = await client.post("/login", json={"id": account.id, "passcode": "not the passcode"})
        unknown = await client.post("/login", json={"id": "nobody-at-all", "passcode": "not the passcode"})
    assert (wrong.status_code, wrong.json()) == (unknown.status_code, unknown.json())

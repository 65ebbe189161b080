"""Service accounts: the commands of operators, `POST /token`, and what a service's token may do at auth."""

import argparse
import asyncio
import base64
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote_plus

import httpx2
import jwt
import pytest
from sqlalchemy import select

from auth_service import app
from auth_service.domain import services
from auth_service.storage.tables import service_keys
from auth_service.user_command import CommandError
from tests.integration.auth_service.conftest import Running, Serve, assert_problem
from tests.integration.auth_service.test_http import ALLOWED
from tests.support.waiting import until

KEY = re.compile(r"bck_[A-Za-z0-9_-]{43}")
GRANT = {"grant_type": "client_credentials"}


async def command(auth: Running, *arguments: str) -> str:
    """Run a command of an operator and return what it prints."""
    parser = argparse.ArgumentParser()
    app.add_service_arguments(parser)
    return await app.run_service_command(parser.parse_args(arguments), auth.engine)


async def new_key(auth: Running, *arguments: str) -> str:
    """Run a command that prints a key on its last line."""
    return (await command(auth, *arguments)).splitlines()[-1]


def basic(name: str, key: str) -> dict[str, str]:
    pair = f"{quote_plus(name)}:{quote_plus(key)}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


async def post(auth: Running, form: Any, **headers: str) -> httpx2.Response:
    return await auth.client.post("/token", data=form, headers=headers)


async def token(auth: Running, name: str, key: str, **form: str) -> dict[str, Any]:
    answer = await post(auth, {**GRANT, "client_id": name, "client_secret": key, **form})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def assert_refused(answer: httpx2.Response, status: int, error: str) -> None:
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error", "error_description"}
    assert answer.json()["error"] == error
    assert answer.headers["content-type"] == "application/json"
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    assert answer.headers.get("www-authenticate", "").startswith("Basic" if status == 401 else "")


def claims_of(issued: dict[str, Any]) -> dict[str, Any]:
    return dict(jwt.decode(issued["access_token"], options={"verify_signature": False}))


@pytest.fixture
async def key(auth: Running) -> str:
    return await new_key(auth, "create", "Reports", "--scope", "chat")


@pytest.fixture
async def small(serve: Serve) -> AsyncIterator[Running]:
    """A service that allows three wrong keys."""
    async with serve(login_failures=3, login_failures_account=3) as auth:
        yield auth


async def test_key_is_exchanged_for_a_token(auth: Running, key: str) -> None:
    assert KEY.fullmatch(key)
    answer = await post(auth, {**GRANT, "client_id": "reports", "client_secret": key})
    assert answer.status_code == 200
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    assert "set-cookie" not in answer.headers
    issued = answer.json()
    assert set(issued) == {"access_token", "token_type", "expires_in", "scope"}
    assert (issued["token_type"], issued["expires_in"], issued["scope"]) == ("bearer", 900, "chat")
    claims = claims_of(issued)
    assert (claims["aud"], claims["sub"], claims["scope"]) == ("backchat-service", "service:reports", "chat")
    assert claims["sid"] in await command(auth, "list")


async def test_only_the_hash_of_a_key_is_stored(auth: Running, key: str) -> None:
    async with auth.engine.connect() as connection:
        (stored,) = (await connection.execute(select(service_keys))).all()
    assert len(stored.hash) == 32
    assert key.encode() not in stored.hash
    assert key not in await command(auth, "list")


@pytest.mark.parametrize(
    ("name", "in_form", "in_header"),
    [("reports", True, False), ("reports", False, True), ("REPORTS", False, True), ("Reports", True, False)],
)
async def test_credentials_are_sent_in_the_form_or_by_basic(
    auth: Running, key: str, name: str, *, in_form: bool, in_header: bool
) -> None:
    form = GRANT | ({"client_id": name, "client_secret": key} if in_form else {})
    answer = await post(auth, form, **(basic(name, key) if in_header else {}))
    assert answer.status_code == 200, answer.text


async def test_basic_credentials_are_form_decoded(auth: Running) -> None:
    """RFC 6749, section 2.3.1: the name and the key are encoded before they are joined by a colon."""
    key = await new_key(auth, "create", "a.b-c_d", "--scope", "chat")
    encoded = "".join(f"%{ord(character):02x}" for character in f"a.b-c_d {key}").split("%20")
    pair = base64.b64encode(":".join(encoded).encode()).decode()
    assert (await post(auth, GRANT, Authorization=f"basic {pair}")).status_code == 200
    twice = base64.b64encode(f"{quote_plus(encoded[0])}:{encoded[1]}".encode()).decode()
    assert_refused(await post(auth, GRANT, Authorization=f"Basic {twice}"), 401, "invalid_client")


async def test_credentials_in_both_places_are_refused(auth: Running, key: str) -> None:
    header = basic("reports", key)
    assert_refused(await post(auth, {**GRANT, "client_secret": key}, **header), 400, "invalid_request")
    assert_refused(await post(auth, {**GRANT, "client_id": "other"}, **header), 400, "invalid_request")
    assert (await post(auth, {**GRANT, "client_id": "reports"}, **header)).status_code == 200


async def test_unknown_names_and_wrong_keys_have_the_same_answer(auth: Running, key: str) -> None:
    await new_key(auth, "create", "gone", "--scope", "chat")
    await command(auth, "revoke", "gone")
    await auth.register("alice")
    wrong = key[:-1] + ("a" if key[-1] != "a" else "b")
    tried = [("reports", wrong), ("nothing", key), ("gone", key), ("alice", key), ("service:reports", key), ("ü", key)]
    tried += [
        ("reports", ""),
        ("", key),
        ("reports", key.upper()),
        ("reports", key + "x"),
        ("\0", "\0"),
        ("x" * 99, key),
    ]
    answers = [await post(auth, {**GRANT, "client_id": name, "client_secret": each}) for name, each in tried]
    for answer in answers:
        assert_refused(answer, 401, "invalid_client")
    assert len({(answer.text, str(sorted(answer.headers.items()))) for answer in answers}) == 1


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": ["client_credentials", "client_credentials"]}, "invalid_request"),
        ({**GRANT, "scope": "users"}, "invalid_scope"),
        ({**GRANT, "scope": "chat users"}, "invalid_scope"),
        ({**GRANT, "scope": "CHAT"}, "invalid_scope"),
        ({**GRANT, "scope": "chat  chat"}, "invalid_scope"),
        ({**GRANT, **{f"field{n}": "x" for n in range(30)}}, "invalid_request"),
    ],
)
async def test_malformed_request_is_refused(auth: Running, key: str, form: dict[str, Any], error: str) -> None:
    assert_refused(await post(auth, {"client_id": "reports", "client_secret": key, **form}), 400, error)


@pytest.mark.parametrize(
    "authorization", ["Bearer x", "Basic", "Basic !", "Basic 8J+mhA", "Basic cmVwb3J0cw==", "Digest x", "Basic /w=="]
)
async def test_malformed_basic_is_an_invalid_client(auth: Running, authorization: str) -> None:
    assert_refused(await post(auth, GRANT, Authorization=authorization), 401, "invalid_client")


async def test_other_content_types_are_refused(auth: Running, key: str) -> None:
    body = {**GRANT, "client_id": "reports", "client_secret": key}
    assert_refused(await auth.client.post("/token", json=body), 400, "invalid_request")
    assert_refused(await auth.client.post("/token", params=body), 400, "invalid_request")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert_refused(await auth.client.post("/token", content=b"\xff=1", headers=form), 400, "invalid_request")
    assert_problem(await auth.client.post("/token", content=b"a" * 9_000, headers=form), 413, "payload_too_large")


async def test_page_of_another_origin_gets_no_token(auth: Running, key: str) -> None:
    form = {**GRANT, "client_id": "reports", "client_secret": key}
    for origin in ("https://evil.example", "null", "http://auth.evil.example"):
        assert_problem(await post(auth, form, Origin=origin), 403, "forbidden")
    assert (await post(auth, form, Origin="http://auth")).status_code == 200


async def test_scope_may_ask_for_what_was_granted(auth: Running, key: str) -> None:
    assert (await token(auth, "reports", key, scope="chat"))["scope"] == "chat"
    assert (await token(auth, "reports", key, scope=""))["scope"] == "chat"


async def test_wrong_keys_are_throttled_as_logins_are(small: Running) -> None:
    key = await new_key(small, "create", "reports", "--scope", "chat")
    form = {**GRANT, "client_id": "reports", "client_secret": key}
    for name in ("reports", "REPORTS", "Reports", "reports"):
        assert_refused(await post(small, {**form, "client_id": name, "client_secret": "x"}), 401, "invalid_client")
    answer = await post(small, form)
    assert_problem(answer, 429, "rate_limited")
    assert int(answer.headers["retry-after"]) >= 1
    for _ in range(4):
        assert_refused(await post(small, {**form, "client_id": "nothing"}), 401, "invalid_client")
    assert_problem(await post(small, {**form, "client_id": "nothing"}), 429, "rate_limited")


async def test_service_may_only_show_itself_and_log_out(auth: Running, key: str) -> None:
    issued = await token(auth, "reports", key)
    answer = await auth.ask("GET", "/me", issued)
    assert answer.status_code == 200
    assert set(answer.json()) == {"id", "created_at", "roles"}
    assert (answer.json()["id"], answer.json()["roles"]) == ("service:reports", ["service"])
    forbidden = 0
    for path, methods in ALLOWED.items():
        for method in {"GET", "POST", "PUT", "DELETE"} & set(methods.split(", ")):
            described = path.replace("b9a5b6f6-43cf-4bd4-8c0e-6a4e29ab4c3f", "{sid}").replace("alice", "{user_id}")
            operation = (
                (await auth.client.get("/openapi.json")).json()["paths"].get(described, {}).get(method.lower(), {})
            )
            if operation.get("security") and (method, path) not in {("GET", "/me"), ("POST", "/logout")}:
                assert_problem(await auth.ask(method, path, issued), 403, "forbidden")
                forbidden += 1
    assert forbidden == 9


async def test_logout_of_a_service_ends_its_token_only(auth: Running, key: str) -> None:
    first, second = await token(auth, "reports", key), await token(auth, "reports", key)
    assert (await auth.ask("POST", "/logout", first)).status_code == 204
    assert_problem(await auth.ask("GET", "/me", first), 401, "token_invalid")
    assert_problem(await auth.ask("POST", "/logout", first), 401, "token_invalid")
    assert (await auth.ask("GET", "/me", second)).status_code == 200
    await token(auth, "reports", key)
    await reaches_gateways(auth, claims_of(first)["jti"])
    assert not await listed(auth, claims_of(first)["sid"])


async def reaches_gateways(auth: Running, revoked: str) -> None:
    await until(lambda: listed(auth, revoked), 5)


async def listed(auth: Running, revoked: str) -> bool:
    """Whether gateways learn of a revocation."""
    return revoked in {each["sid"] for each in (await auth.revocations.since(None))["logins"]}


@pytest.mark.parametrize("one_key", [True, False])
async def test_revocation_ends_tokens_and_reaches_gateways(auth: Running, key: str, *, one_key: bool) -> None:
    issued = await token(auth, "reports", key)
    sid = claims_of(issued)["sid"]
    await command(auth, "revoke", "reports", *(["--key", sid] if one_key else []))
    assert_problem(await auth.ask("GET", "/me", issued), 401, "token_invalid")
    refused = await post(auth, {**GRANT, "client_id": "reports", "client_secret": key})
    assert_refused(refused, 401, "invalid_client")
    await reaches_gateways(auth, sid)


async def test_two_keys_are_valid_and_a_third_is_refused(auth: Running, key: str) -> None:
    second = await new_key(auth, "rotate", "reports")
    assert second != key
    sids = {claims_of(await token(auth, "reports", each))["sid"] for each in (key, second)}
    assert len(sids) == 2
    with pytest.raises(CommandError, match="two valid keys"):
        await command(auth, "rotate", "reports")
    await command(auth, "revoke", "reports", "--key", claims_of(await token(auth, "reports", key))["sid"])
    third = await new_key(auth, "rotate", "reports")
    for each in (second, third):
        await token(auth, "reports", each)


async def test_token_does_not_outlive_its_key(auth: Running) -> None:
    key = await new_key(auth, "create", "short", "--scope", "chat", "--expires-in", "0.000035")  # three seconds
    issued = await token(auth, "short", key)
    assert 1 <= issued["expires_in"] <= 3

    async def expired() -> bool:
        answer = await post(auth, {**GRANT, "client_id": "short", "client_secret": key})
        return answer.status_code == 401

    await until(expired, 10, every=0.2)
    await until(lambda: _is_expired(auth, issued), 10, every=0.2)
    assert "expired" in await command(auth, "list")


async def _is_expired(auth: Running, issued: dict[str, Any]) -> bool:
    answer = await auth.ask("GET", "/me", issued)
    return answer.status_code == 401 and answer.json()["code"] == "token_expired"


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "reports", "--scope", "chat"),
        ("create", "REPORTS", "--scope", "chat"),
        ("create", "a:b", "--scope", "chat"),
        ("create", "service:x", "--scope", "chat"),
        ("create", "me", "--scope", "chat"),
        ("create", "..", "--scope", "chat"),
        ("create", "other", "--scope", "feed"),
        ("create", "other", "--scope", "chat", "feed"),
        ("create", "other", "--scope", ""),
        ("create", "other", "--scope", "chat", "--expires-in", "0"),
        ("create", "other", "--scope", "chat", "--expires-in", "nan"),
        ("create", "other", "--scope", "chat", "--expires-in", "-1"),
        ("rotate", "other"),
        ("revoke", "other"),
        ("revoke", "reports", "--key", "b9a5b6f6-43cf-4bd4-8c0e-6a4e29ab4c3f"),
        ("revoke", "reports", "--key", "not an id"),
    ],
)
async def test_command_is_refused_with_a_reason(auth: Running, key: str, arguments: tuple[str, ...]) -> None:
    await token(auth, "reports", key)
    with pytest.raises(CommandError):
        await command(auth, *arguments)
    await token(auth, "reports", key)


async def test_name_of_a_revoked_service_is_never_given_again(auth: Running, key: str) -> None:
    await command(auth, "revoke", "reports")
    with pytest.raises(CommandError, match="never assigned again"):
        await command(auth, "create", "reports", "--scope", "chat")
    with pytest.raises(CommandError):
        await command(auth, "rotate", "reports")
    assert "revoked" in await command(auth, "list")


async def test_users_cannot_have_the_id_of_a_service(auth: Running, key: str) -> None:
    """Nor does a user of the same name interfere with a service."""
    for user_id in ("service:reports", "Service:x", "service:"):
        assert_problem(await auth.register(user_id), 422, "invalid_request")
    assert (await auth.register("reports")).status_code == 201
    user = await auth.tokens("reports")
    assert (await auth.ask("GET", "/me", user)).json()["id"] == "reports"
    assert (await auth.ask("GET", "/me", await token(auth, "reports", key))).json()["id"] == "service:reports"
    assert_problem(await auth.login("service:reports", key), 422, "invalid_request")


async def test_concurrent_revocation_leaves_no_valid_token(auth: Running, key: str) -> None:
    form = {**GRANT, "client_id": "reports", "client_secret": key}
    requests = [asyncio.create_task(post(auth, form)) for _ in range(10)]
    await command(auth, "revoke", "reports")
    for answer in await asyncio.gather(*requests):
        if answer.status_code == 200:
            assert_problem(await auth.ask("GET", "/me", answer.json()), 401, "token_invalid")
            await reaches_gateways(auth, claims_of(answer.json())["sid"])
        else:
            assert_refused(answer, 401, "invalid_client")


def test_scopes_that_can_be_granted_are_enforced() -> None:
    """A scope becomes available with the code that enforces it."""
    assert set(services.SCOPES) == {"chat", "transcripts", "sessions", "users"}

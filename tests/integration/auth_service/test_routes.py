"""The public surface of auth, route by route (contract.md §1 and §2)."""

import asyncio
import hashlib
import re
import time
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from sqlalchemy import select, update

from auth_service.storage.tables import logins, refresh_tokens, users
from tests.integration.auth_service.conftest import GOOD, Running, Serve, assert_problem
from tests.support.waiting import until

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def test_register_returns_the_user_in_lower_case(auth: Running) -> None:
    answer = await auth.register("Alice.B-c_9")
    assert answer.status_code == 201
    assert set(answer.json()) == {"id", "created_at"}
    assert answer.json()["id"] == "alice.b-c_9"
    assert RFC3339.fullmatch(answer.json()["created_at"])
    assert_problem(await auth.register("ALICE.B-C_9"), 409, "user_exists")


async def test_passcode_is_stored_as_argon2id(auth: Running) -> None:
    await auth.register("alice", GOOD)
    async with auth.engine.connect() as connection:
        stored = await connection.scalar(select(users.c.passcode_hash))
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_login_returns_the_documented_tokens(auth: Running) -> None:
    await auth.register("alice")
    answer = await auth.login("ALICE")
    assert answer.status_code == 200
    tokens = answer.json()
    assert set(tokens) == {"access_token", "token_type", "expires_in", "refresh_token", "refresh_expires_in"}
    assert (tokens["token_type"], tokens["expires_in"], tokens["refresh_expires_in"]) == ("bearer", 900, 2_592_000)
    assert answer.headers["cache-control"] == "no-store"
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    async with auth.engine.connect() as connection:
        (stored,) = (await connection.execute(select(refresh_tokens))).all()
    assert stored.hash == hashlib.sha256(tokens["refresh_token"].encode()).digest()
    assert stored.sid == claims["sid"]
    assert (claims["sub"], claims["aud"]) == ("alice", "backchat")


async def test_token_verifies_with_the_published_keys(auth: Running) -> None:
    await auth.register("alice")
    token = (await auth.login("alice")).json()["access_token"]
    answer = await auth.client.get("/.well-known/jwks.json")
    assert answer.status_code == 200
    assert "max-age" in answer.headers["cache-control"]
    keys = jwt.PyJWKSet.from_dict(answer.json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, key, algorithms=["EdDSA"], audience="backchat", issuer="backchat")["sub"] == "alice"


async def test_me_returns_the_user_of_the_token(auth: Running) -> None:
    registered = (await auth.register("alice")).json()
    token = (await auth.login("alice")).json()["access_token"]
    answer = await auth.me(f"Bearer {token}")
    assert answer.status_code == 200
    assert answer.json() == {**registered, "roles": ["user"]}
    assert (await auth.me(f"bearer {token}")).status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic YWxpY2U6eA==",
        "Bearer a.b.c",
        "Bearer ü",
        "Token x",
        "Bearer " + "x" * 9000,
    ],
)
async def test_me_refuses_an_invalid_token(auth: Running, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization.encode("latin-1")}
    answer = await auth.client.get("/me", headers=headers)
    assert_problem(answer, 401, "token_invalid")
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_refresh_token_is_refused_as_an_access_token(auth: Running) -> None:
    await auth.register("alice")
    assert_problem(await auth.me(f"Bearer {(await auth.login('alice')).json()['refresh_token']}"), 401, "token_invalid")


async def test_expired_token_is_reported_as_expired(serve: Serve) -> None:
    async with serve(access_token_ttl=1) as auth:
        await auth.register("alice")
        tokens = (await auth.login("alice")).json()
        assert tokens["expires_in"] == 1
        assert (await auth.me(f"Bearer {tokens['access_token']}")).status_code == 200
        expires = jwt.decode(tokens["access_token"], options={"verify_signature": False})["exp"]
        await until(lambda: time.time() > expires, 15)
        assert_problem(await auth.me(f"Bearer {tokens['access_token']}"), 401, "token_expired")


async def test_access_token_of_a_revoked_login_is_refused(auth: Running) -> None:
    await auth.register("alice")
    first, second = [(await auth.login("alice")).json()["access_token"] for _ in range(2)]
    sid = jwt.decode(first, options={"verify_signature": False})["sid"]
    async with auth.engine.begin() as connection:
        await connection.execute(update(logins).where(logins.c.sid == sid).values(revoked_at=datetime.now(UTC)))
    assert_problem(await auth.me(f"Bearer {first}"), 401, "token_invalid")
    assert (await auth.me(f"Bearer {second}")).status_code == 200


async def test_wrong_passcode_and_unknown_id_get_the_same_answer(auth: Running) -> None:
    """Status, headers and body are equal, and both hash; unit tests compare the work."""
    await auth.register("alice")
    name = "backchat_auth_hashing_seconds_count"
    before = auth.registry.get_sample_value(name) or 0
    known, unknown = await auth.login("alice", "wrong horse"), await auth.login("nobody", "wrong horse")
    assert_problem(known, 401, "invalid_credentials")
    assert (known.content, known.headers) == (unknown.content, unknown.headers)
    assert auth.registry.get_sample_value(name) == before + 2


async def test_new_service_has_no_account(auth: Running) -> None:
    """No name has a default account."""
    names = ("admin", "root", "user", "guest", "test", "backchat", "administrator", "operator", "demo", "support")
    for name in names:
        for passcode in ("password", "backchat", f"{name}{name}", "changeme"):
            assert_problem(await auth.login(name, passcode), 401, "invalid_credentials")
    async with auth.engine.connect() as connection:
        assert not (await connection.execute(select(users))).all()


@pytest.mark.parametrize("passcode", ["password", "12345678", "Qwertyuiop", "alice-in-chains"])
async def test_common_passcode_is_refused(auth: Running, passcode: str) -> None:
    assert_problem(await auth.register("Alice-in-Chains", passcode), 422, "weak_passcode")


async def test_one_of_concurrent_registrations_of_an_id_succeeds(auth: Running) -> None:
    answers = await asyncio.gather(*(auth.register("alice", f"correct horse {n}") for n in range(12)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 11
    logged_in = [await auth.login("alice", f"correct horse {n}") for n in range(12)]
    assert [a.status_code for a in logged_in] == [200 if a.status_code == 201 else 401 for a in answers]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, ["id", "passcode"]),
        ({"id": "alice"}, ["passcode"]),
        ({"id": None, "passcode": None}, ["id", "passcode"]),
        ({"id": 1, "passcode": ["x"]}, ["id", "passcode"]),
        ({"id": "", "passcode": "correct horse"}, ["id"]),
        ({"id": "a" * 65, "passcode": "correct horse"}, ["id"]),
        ({"id": "al ice", "passcode": "seven77"}, ["id", "passcode"]),
        ({"id": "alice", "passcode": "x" * 129}, ["passcode"]),
        ({"id": "alice", "passcode": "nul\0nul\0nul"}, ["passcode"]),
    ],
)
async def test_refused_registration_names_field_and_reason(
    auth: Running, body: dict[str, Any], said: list[str]
) -> None:
    problem = assert_problem(await auth.client.post("/register", json=body), 422, "invalid_request")
    assert [part.partition(":")[0] for part in problem["detail"].split("; ")] == said
    for value in filter(lambda value: isinstance(value, str) and value, body.values()):
        assert value not in problem["detail"]


async def test_only_the_passcode_logs_in(auth: Running) -> None:
    """Two fields chosen by the user: no hint, no question, no generated code (ASVS 6.4.1, 6.4.2)."""
    paths = (await auth.client.get("/openapi.json")).json()["paths"]
    for path in ("/register", "/login"):
        form = paths[path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert set(form["properties"]) == {"id", "passcode"}
    assert set((await auth.register("alice")).json()) == {"id", "created_at"}
    assert not re.search(r"reset|forgot|recover|hint|question|activat|verif", " ".join(paths))

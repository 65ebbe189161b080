"""The public surface of auth, route by route (contract.md §1 and §2)."""

import asyncio
import base64
import hashlib
import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import jwt
import pytest
from sqlalchemy import select, update

from auth_service import app
from auth_service.http import public_app
from auth_service.storage.tables import logins, refresh_tokens, users
from tests.integration.auth_service.conftest import GOOD, Running, Serve
from tests.support.waiting import until

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
JSON = {"Content-Type": "application/json"}


def assert_problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "code"}
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"].endswith(code)
    return problem


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


@pytest.mark.parametrize("path", ["/register", "/login"])
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"\xff\xfe",
        b'\xef\xbb\xbf{"id":"a","passcode":"correct horse"}',
        '{"id":"a","passcode":"correct horse"}'.encode("utf-16"),
        b'{"id":"a","id":"b","passcode":"correct horse"}',
        b'{"id":"a","passcode":"\\ud800 correct horse"}',
        b'{"id":"a","passcode":"correct\\u0000horse"}',
        b'{"id":"a","passcode":' + b"9" * 5000 + b"}",
        b'{"id":NaN,"passcode":Infinity}',
        b"[" * 8000,
        b'{"a":' * 1600,
    ],
)
async def test_malformed_body_is_an_invalid_request(auth: Running, path: str, raw: bytes) -> None:
    assert_problem(await auth.client.post(path, content=raw, headers=JSON), 422, "invalid_request")


async def test_unknown_fields_are_ignored(auth: Running) -> None:
    body = {"id": "alice", "passcode": GOOD, "roles": ["admin"], "created_at": "1970-01-01T00:00:00Z", "x": None}
    assert (await auth.client.post("/register", json=body)).status_code == 201
    token = (await auth.login("alice")).json()["access_token"]
    assert (await auth.me(f"Bearer {token}")).json()["roles"] == ["user"]


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json"]
)
async def test_only_json_is_read(auth: Running, kind: str | None) -> None:
    body = b'{"id":"alice","passcode":"correct horse"}'
    headers = {"Content-Type": kind} if kind else {}
    assert_problem(await auth.client.post("/register", content=body, headers=headers), 415, "unsupported_media_type")
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert (await auth.client.post("/register", content=body, headers=headers)).status_code == 201


async def test_large_body_is_refused_with_and_without_declared_length(auth: Running) -> None:
    padding = b'{"id":"alice","passcode":"correct horse","x":"' + b"x" * 8192 + b'"}'

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(padding), 100):
            yield padding[start : start + 100]

    for path in ("/register", "/login"):
        assert_problem(await auth.client.post(path, content=padding, headers=JSON), 413, "payload_too_large")
        assert_problem(await auth.client.post(path, content=chunks(), headers=JSON), 413, "payload_too_large")
    just = padding.replace(b"x" * 8192, b"x" * (8192 - len(padding) + 8192))
    assert len(just) == 8192
    assert (await auth.client.post("/register", content=just, headers=JSON)).status_code == 201


ALLOWED = {
    **dict.fromkeys(("/register", "/login", "/refresh", "/guest", "/logout", "/logout/all"), "POST"),
    "/me": "DELETE, GET, HEAD",
    **dict.fromkeys(("/me/logins", "/.well-known/jwks.json", "/docs", "/openapi.json"), "GET, HEAD"),
    "/me/export": "GET",
    "/me/passcode": "PUT",
    "/me/logins/b9a5b6f6-43cf-4bd4-8c0e-6a4e29ab4c3f": "DELETE",
}


async def test_unknown_paths_and_methods_are_refused(auth: Running) -> None:
    for path, method in ALLOWED.items():
        for other in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"} - set(
            method.split(", ")
        ):
            answer = await auth.client.request(other, path)
            assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")
            assert sorted(answer.headers["allow"].split(", ")) == method.split(", ")
            if other != "HEAD":
                assert_problem(answer, 405, "method_not_allowed")
    for path in ("/", "/nothing", "/register/", "/me/", "/redoc", "/metrics", "/login/x", "//register", "/%00"):
        assert_problem(await auth.client.get(path), 404, "not_found")


async def test_head_answers_as_get_without_a_body(auth: Running) -> None:
    """For routes that only read; status and headers are those of GET (RFC 9110, section 9.3.2)."""
    await auth.register("alice")
    bearer = {"Authorization": f"Bearer {(await auth.tokens('alice'))['access_token']}"}
    for path, methods in ALLOWED.items():
        if "HEAD" in methods:
            for headers in ({}, bearer):
                got, told = [await auth.client.request(method, path, headers=headers) for method in ("GET", "HEAD")]
                assert (told.status_code, told.content, told.headers) == (got.status_code, b"", got.headers), path
                assert int(told.headers["content-length"]) == len(got.content)


async def test_declared_paths_are_the_served_paths(auth: Running) -> None:
    """The embedded process and the edge route by them."""
    for path in public_app.PATHS:
        assert app.serves(path)
        assert (await auth.client.get(path)).status_code != 404
    described = (await auth.client.get("/openapi.json")).json()["paths"]
    assert public_app.PATHS - {"/docs", "/openapi.json"} <= set(described)
    assert all(app.serves(path) for path in described)
    for other in ("/", "/socket.io/", "/chat/", "/internal/revocations", "/menu", "/logouts", "/healthz"):
        assert not app.serves(other)


async def test_every_answer_has_the_security_headers(auth: Running) -> None:
    answers = [await auth.client.get(path) for path in [*public_app.PATHS, "/nothing"]]
    answers.append(await auth.client.post("/login", content=b"x" * 9000))
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert "strict-transport-security" not in answer.headers
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "cache-control" in answer.headers


async def test_docs_page_names_every_route_and_loads_nothing_external(auth: Running) -> None:
    """It has no script and no address except the description; its style is the one that its policy allows."""
    answer = await auth.client.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    for path in public_app.PATHS - {"/docs"}:
        assert path.removeprefix("/") in answer.text
    assert "<script" not in answer.text
    assert not re.search(r"(src|href)=\"(?!openapi\.json)", answer.text)
    assert not re.search(r"@import|url\(|https?:", answer.text)
    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in answer.headers["content-security-policy"]


async def test_description_has_the_answers_of_each_route(auth: Running) -> None:
    paths = (await auth.client.get("/openapi.json")).json()["paths"]
    register = paths["/register"]["post"]
    assert set(register["responses"]) == {"201", "409", "413", "415", "422", "429", "503"}
    assert set(register["requestBody"]["content"]) == {"application/json"}
    body = register["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["id", "passcode"]
    assert body["properties"]["passcode"]["minLength"] == 8
    assert set(register["responses"]["422"]["content"]) == {"application/problem+json"}
    assert paths["/me"]["get"]["security"]


async def test_only_the_passcode_logs_in(auth: Running) -> None:
    """Two fields chosen by the user: no hint, no question, no generated code (ASVS 6.4.1, 6.4.2)."""
    paths = (await auth.client.get("/openapi.json")).json()["paths"]
    for path in ("/register", "/login"):
        form = paths[path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert set(form["properties"]) == {"id", "passcode"}
    assert set((await auth.register("alice")).json()) == {"id", "created_at"}
    assert not re.search(r"reset|forgot|recover|hint|question|activat|verif", " ".join(paths))


async def test_other_origins_are_refused_by_default(auth: Running) -> None:
    preflight = {"Origin": "https://chat.example", "Access-Control-Request-Method": "POST"}
    answer = await auth.client.options("/login", headers=preflight)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]
    answer = await auth.client.get("/me", headers={"Origin": "https://chat.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_only_configured_origins_may_call(serve: Serve) -> None:
    async with serve(allowed_origins=("https://chat.example",)) as auth:
        preflight = {"Origin": "https://chat.example", "Access-Control-Request-Method": "POST"}
        answer = await auth.client.options("/login", headers=preflight)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == "https://chat.example"
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert "content-type" in answer.headers["access-control-allow-headers"].lower()
        assert "access-control-allow-credentials" not in answer.headers
        answer = await auth.client.get("/me", headers={"Origin": "https://chat.example"})
        assert answer.headers["access-control-allow-origin"] == "https://chat.example"
        assert answer.headers["vary"] == "Origin"
        for origin in ("https://evil.example", "https://chat.example.evil.example", "http://chat.example", "null"):
            answer = await auth.client.options("/login", headers={**preflight, "Origin": origin})
            assert answer.status_code == 405
            assert "access-control-allow-origin" not in answer.headers


async def test_full_hashing_queue_is_unavailable_with_retry_after(serve: Serve) -> None:
    async with serve(hashing_threads=1, hashing_queue=1) as auth:
        answers = await asyncio.gather(*(auth.login(f"user-{n}") for n in range(20)))
        refused = [answer for answer in answers if answer.status_code == 503]
        assert refused
        assert {answer.status_code for answer in answers} == {401, 503}
        for answer in refused:
            assert_problem(answer, 503, "unavailable")
            assert int(answer.headers["retry-after"]) >= 1
        assert (await auth.login("user-0")).status_code == 401


async def test_service_is_ready_only_when_migrated(auth: Running) -> None:
    await until(lambda: not auth.service.missing(), 30)

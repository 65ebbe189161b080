"""Auth as an HTTP server: bodies, methods, headers, origins, and its description (contract.md §1 and §2)."""

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator

import pytest

from auth_service import app
from auth_service.http import public_app
from tests.integration.auth_service.conftest import GOOD, Running, Serve, assert_problem
from tests.support.waiting import until

JSON = {"Content-Type": "application/json"}


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
    **dict.fromkeys(("/register", "/login", "/refresh", "/guest", "/logout", "/logout/all", "/token"), "POST"),
    "/me": "DELETE, GET, HEAD",
    **dict.fromkeys(("/me/logins", "/.well-known/jwks.json", "/docs", "/openapi.json"), "GET, HEAD"),
    "/me/export": "GET",
    "/v1/users/alice": "DELETE, PUT",
    "/v1/users/alice/login": "POST",
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
    ours = [path for path in described if not path.startswith("/v1/")]  # the others are the gateway's
    assert all(app.serves(path) for path in ours)
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

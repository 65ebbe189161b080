"""HTTP of the gateway: uniform refusals, and security headers on every response."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import httpx2
import pytest
import websockets

from tests.integration.chat_gateway.conftest import Running
from tests.integration.chat_gateway.raw import raw
from tests.integration.chat_gateway.test_connect import refusal
from tests.support.waiting import until

POLLING = "/socket.io/?EIO=4&transport=polling"


METHODS = ("PUT", "DELETE", "PATCH", "TRACE", "PROPFIND")
NOWHERE = (
    *("/nothing", "/socket.io/x", "//socket.io/", "/SOCKET.IO/", "/socket.io//", "/%2e%2e/"),
    *("/internal/revocations", "/readyz", "/healthz", "/metrics", "/.env", "/.git/config", "/admin"),
)


async def test_unlisted_methods_are_refused(running: Running) -> None:
    async with httpx2.AsyncClient(base_url=running.url) as http:
        for method, path in product(METHODS, (POLLING, "/", "/asyncapi.json")):
            answer = await http.request(method, path)
            assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed"), (method, path)
            assert answer.headers["content-type"] == "application/problem+json"
            assert "GET" in answer.headers["allow"]
        assert (await http.head(POLLING)).status_code == 405


async def test_unlisted_paths_are_not_found(running: Running) -> None:
    async with httpx2.AsyncClient(base_url=running.url) as http:
        for path in NOWHERE:
            answer = await http.get(httpx2.URL(running.url, raw_path=path.encode()))
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
            assert answer.headers["content-type"] == "application/problem+json"


ANSWERS = [("/", 200), ("/asyncapi.json", 200), ("/nothing", 404), (POLLING, 200), ("/socket.io/?EIO=3", 400)]


async def test_every_response_has_the_security_headers(running: Running) -> None:
    async with httpx2.AsyncClient(base_url=running.url) as http:
        for path, status in ANSWERS:
            answer = await http.get(path)
            assert answer.status_code == status
            check(answer)


def check(answer: httpx2.Response, policy: str = "default-src 'none'; frame-ancestors 'none'") -> None:
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["content-security-policy"] == policy
    assert "camera=()" in answer.headers["permissions-policy"]
    assert "server" not in answer.headers
    assert "set-cookie" not in answer.headers


async def test_page_runs_only_its_own_files(gateway: Running, tmp_path: Path) -> None:
    """Only its compact form may be framed, by our origin and by configured ones."""
    (tmp_path / "index.html").write_text("<!doctype html>")
    await gateway.start(page_dir=tmp_path, frame_ancestors="https://shop.example")
    async with httpx2.AsyncClient(base_url=gateway.url) as http:
        page, compact = await http.get("/chat/"), await http.get("/chat/embed")
    policies = []
    for answer in (page, compact):
        check(answer, answer.headers["content-security-policy"])
        assert "unsafe" not in answer.headers["content-security-policy"]
        policies.append(dict(d.split(" ", 1) for d in answer.headers["content-security-policy"].split("; ")))
        assert policies[-1]["script-src"] == policies[-1]["style-src"] == policies[-1]["connect-src"] == "'self'"
        assert policies[-1]["default-src"] == policies[-1]["base-uri"] == "'none'"
        assert policies[-1]["require-trusted-types-for"] == "'script'"
    assert policies[0]["frame-ancestors"] == "'none'"
    assert policies[1]["frame-ancestors"] == "'self' https://shop.example"


@pytest.mark.parametrize("path", ["/socket.io/?EIO=4&transport=websocket", POLLING])
async def test_foreign_page_is_refused_before_a_session_exists(running: Running, path: str) -> None:
    """Over both transports, with the refusal in one form; an allowed one may read the answer."""
    evil = {"Origin": "https://evil.example"}
    if "websocket" in path:
        with pytest.raises(websockets.InvalidStatus) as caught:
            await websockets.connect(running.url.replace("http", "ws") + path, additional_headers=evil)
        assert caught.value.response.status_code == 403
    else:
        async with httpx2.AsyncClient(base_url=running.url) as http:
            refused = await http.get(path, headers=evil)
            assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
            assert "access-control-allow-origin" not in refused.headers
            own = await http.get(path, headers={"Origin": running.url})
            assert own.headers["access-control-allow-origin"] == running.url
            assert "access-control-allow-credentials" not in own.headers
    assert running.metric("sessions_refused_total", reason="origin") == 1


async def test_own_origin_is_the_one_of_a_trusted_proxy(gateway: Running) -> None:
    """Behind TLS and under another host name; headers of other clients are ignored."""
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "chat.example", "Origin": "https://chat.example"}
    await gateway.start(trusted_proxies="127.0.0.1")
    await gateway.client("ada", headers=forwarded)
    downgraded = {**forwarded, "Origin": "http://chat.example"}
    assert await refusal(gateway, {"token": gateway.issuer.token("ada")}, headers=downgraded) is None


async def test_forwarded_headers_of_other_clients_are_ignored(running: Running) -> None:
    forwarded = {"X-Forwarded-Host": "evil.example", "Origin": "http://evil.example"}
    assert await refusal(running, {"token": running.issuer.token("ada")}, headers=forwarded) is None


async def test_connections_of_one_address_are_bounded(gateway: Running) -> None:
    """429 over the bound; behind a trusted proxy clients count separately; a closed connection frees its place."""
    await gateway.start(connections_per_address=2, trusted_proxies="127.0.0.1")
    async with raw(gateway), httpx2.AsyncClient(base_url=gateway.url) as http:
        async with raw(gateway, "bob"):
            refused = await http.get(POLLING)
            assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
            assert int(refused.headers["retry-after"]) >= 1
            other = await http.get(POLLING, headers={"X-Forwarded-For": "198.51.100.1"})
            assert other.status_code == 200
            forged = await http.get(POLLING, headers={"X-Forwarded-For": "198.51.100.2, 127.0.0.1"})
            assert forged.status_code == 200

        async def admitted() -> bool:
            return (await http.get(POLLING)).status_code != 429

        await until(admitted)
    assert gateway.metric("sessions_refused_total", reason="crowded") >= 1

"""The HTTP API below `/v1`: routes, checks in their order, and answers."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx2
import orjson
import pytest

from tests.integration.chat_gateway.api import api, exchange, refused
from tests.integration.chat_gateway.conftest import Running, start_chat

CHAT = {"title": "Tea"}


async def test_catalogue_and_list_are_those_of_sockets(running: Running) -> None:
    socket = await running.client("ada")
    async with api(running) as http:
        session = await start_chat(socket)
        listed = await http.get("/v1/sessions")
        assert listed.json() == {k: v for k, v in (await socket.call("list_chats", {})).items() if k != "ok"}
        assert [each["id"] for each in listed.json()["sessions"]] == [session["id"]]
        chatbots = await http.get("/v1/chatbots")
        assert chatbots.json() == {k: v for k, v in (await socket.call("list_chatbots", {})).items() if k != "ok"}
        assert chatbots.headers["cache-control"] == "no-store"
        assert chatbots.headers["content-type"] == "application/json"


async def test_message_sent_over_http_is_accepted_and_reaches_sockets(running: Running) -> None:
    socket = await running.client("ada")
    session = await start_chat(socket)
    async with api(running) as http:
        path = f"/v1/sessions/{session['id']}/messages"
        sent = await http.post(path, json={"content": "tea"}, headers={"Idempotency-Key": "k 1"})
        assert sent.status_code == 202
        [message] = await socket.hears("message")
        expected = {"message_id": message["id"], "client_message_id": "k 1", "status": "accepted"}
        assert sent.json() == expected
        again = await socket.call(
            "send_message", {"session_id": session["id"], "content": "x", "client_message_id": "k 1"}
        )
        assert again == {"ok": True, **expected}, "the key is the client id of Socket.IO"


async def test_session_started_over_http_joins_no_socket_and_is_started_once_by_key(running: Running) -> None:
    async with api(running) as http:
        first = await http.post("/v1/sessions", json=CHAT, headers={"Idempotency-Key": "one"})
        socket = await running.client("ada")
        second = await http.post("/v1/sessions", json={"title": "Other"}, headers={"Idempotency-Key": "one"})
        by_socket = await start_chat(socket, title="Third", client_request_id="one")
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json() == {"session": by_socket}


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/", "/v1", "/v1/session", "/v1/sessions/", "/v1//sessions", "//v1/sessions", "/v1/./sessions"),
        *("/v1/sessions/../chatbots", "/v1/sessions/%2e%2e/messages", "/v1/sessions/%2E", "/v1/%73essions"),
        *("/v1/sessions/..", "/V1/sessions", "/v1/sessions/a/users", "/v1/sessions/%2e%2e", "/v1/sessions/%ff"),
    ],
)
async def test_paths_are_compared_as_sent(running: Running, path: str) -> None:
    """Before the method and the token."""
    for method in ("GET", "PROPFIND"):
        head, body = await exchange(running, f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert head.startswith("HTTP/1.1 404"), path
        assert orjson.loads(body)["code"] == "not_found"


async def test_method_is_checked_before_the_token(running: Running) -> None:
    async with httpx2.AsyncClient(base_url=running.url) as http:
        for path, allowed in (
            ("/v1/sessions", "GET, HEAD, POST"),
            (f"/v1/sessions/{uuid4()}", "DELETE, GET, HEAD, PATCH"),
            (f"/v1/sessions/{uuid4()}/read", "PUT"),
        ):
            answer = await http.request("TRACE", path)
            refused(answer, 405, "method_not_allowed")
            assert answer.headers["allow"] == allowed


async def test_token_is_read_only_from_the_authorization_header(running: Running) -> None:
    token = running.issuer.token("ada")
    expired = running.issuer.token("ada", exp=1_000_000_000, iat=999_999_000, nbf=999_999_000)
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "token_invalid"),
        ({"params": {"token": token, "access_token": token}}, "token_invalid"),
        ({"headers": {"Cookie": f"token={token}; Authorization=Bearer {token}"}}, "token_invalid"),
        ({"headers": {"Authorization": f"Basic {token}"}}, "token_invalid"),
        ({"headers": {"Authorization": "Bearer"}}, "token_invalid"),
        ({"headers": [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]}, "token_invalid"),
        ({"headers": {"Authorization": f"Bearer {expired}"}}, "token_expired"),
    ]
    async with httpx2.AsyncClient(base_url=running.url) as http:
        for request, code in cases:
            answer = await http.get("/v1/sessions", **request)
            refused(answer, 401, code)
            assert answer.headers["www-authenticate"] == "Bearer"
        assert (await http.get("/v1/sessions", headers={"Authorization": f"bearer {token}"})).status_code == 200


async def test_foreign_origin_is_refused_and_an_allowed_one_may_read_answers(gateway: Running) -> None:
    await gateway.start(allowed_origins="https://shop.example")
    async with api(gateway) as http:
        refused(await http.get("/v1/sessions", headers={"Origin": "https://evil.example"}), 403, "forbidden")
        refused(await http.post("/v1/sessions", json={}, headers={"Origin": "null"}), 403, "forbidden")
        assert not gateway.bus.asked
        for path in ("/v1/sessions", f"/v1/sessions/{uuid4()}", "/v1/nothing"):
            answer = await http.get(path, headers={"Origin": "https://shop.example"})
            assert answer.headers["access-control-allow-origin"] == "https://shop.example"
            assert "access-control-allow-credentials" not in answer.headers
            assert "ETag" in answer.headers["access-control-expose-headers"]
            assert answer.headers["vary"] == "Origin"
        asked = {"Access-Control-Request-Method": "PATCH", "Authorization": ""}
        path = f"/v1/sessions/{uuid4()}"
        preflight = await http.options(path, headers={**asked, "Origin": "https://shop.example"})
        assert (preflight.status_code, preflight.content) == (204, b"")
        assert "PATCH" in preflight.headers["access-control-allow-methods"]
        assert "Idempotency-Key" in preflight.headers["access-control-allow-headers"]
        refused(await http.options(path, headers={**asked, "Origin": "https://evil.example"}), 403, "forbidden")
        refused(await http.options(path, headers=asked), 405, "method_not_allowed")

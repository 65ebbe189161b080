"""Hostile and unusual requests of the HTTP API: each is refused or understood, and none fails."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from chat_gateway.http.api import forms
from shared.errors import Unavailable
from tests.integration.chat_gateway.api import api, exchange, refused, started
from tests.integration.chat_gateway.conftest import Running, start_chat

JSON = {"Content-Type": "application/json"}


async def messages_path(http: httpx2.AsyncClient) -> str:
    return f"/v1/sessions/{(await started(http))['id']}/messages"


async def test_bodies_are_json_of_at_most_256_kib(running: Running) -> None:
    """In this order: content type, size, form."""
    async with api(running) as http:
        path = await messages_path(http)
        big = b'{"content":"' + b"x" * forms.BODY_MAX + b'"}'
        for headers in ({"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}, {}):
            refused(await http.post(path, content=big, headers=headers), 415, "unsupported_media_type")
        refused(await http.post(path, content=big, headers=JSON), 413, "payload_too_large")

        async def chunked() -> Any:
            for at in range(0, len(big), 65_536):
                yield big[at : at + 65_536]

        refused(await http.post(path, content=chunked(), headers=JSON), 413, "payload_too_large")
        refused(await http.post(path, json={"content": "x" * 16_001}), 413, "payload_too_large")
        fits = (b'{"content":"tea","more":"' + b"x" * forms.BODY_MAX)[: forms.BODY_MAX - 2] + b'"}'
        assert (await http.post(path, content=fits, headers=JSON)).status_code == 202
        for method in ("GET", "DELETE"):
            answer = await http.request(method, path.removesuffix("/messages"), content=big)
            refused(answer, 413, "payload_too_large")


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"null", b"[]", b'"text"', b"{", b"{}", b'{"content":null}', b'{"content":""}', b'{"content":" \\n"}'),
        *(b'{"content":1}', b'{"content":"\\ud800"}', b'{"content":"\\u0000"}', b'{"content":"\xff"}'),
        *(b'{"content":"x","reply_to":"x"}', b'{"content":"x","client_message_id":""}', b"[" * 50_000),
        *(b'{"content":"x","client_message_id":"\\u00e9"}', b'{"content":["x"]}', b'{"content":"x"}x'),
    ],
)
async def test_malformed_forms_are_invalid_requests(running: Running, body: bytes) -> None:
    async with api(running) as http:
        path = await messages_path(http)
        refused(await http.post(path, content=body, headers=JSON), 422, "invalid_request")
        assert not running.bus.sent


async def test_null_is_absent_and_unknown_fields_are_ignored(running: Running) -> None:
    """Also fields that are in the path."""
    async with api(running) as http:
        path = await messages_path(http)
        body = {"content": "x", "reply_to": None, "client_message_id": None, "session_id": str(uuid4()), "new": 1}
        assert (await http.post(path, json=body)).status_code == 202
        assert str(running.bus.sent[0].session_id) in path
        session = path.removesuffix("/messages")
        assert (await http.patch(session, json={"title": None})).status_code == 200
        assert (await http.post("/v1/sessions")).status_code == 201, "no body is an empty form"
        listed = await http.get("/v1/sessions?limit=&cursor=&new=1&new=2")
        assert listed.status_code == 200


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=5&limit=5", "limit=+5", "limit=%EF%BC%95", "limit=x", "cursor=%FF"]
)
async def test_malformed_parameters_are_invalid_requests(running: Running, query: str) -> None:
    async with api(running) as http:
        refused(await http.get(f"/v1/sessions?{query}"), 422, "invalid_request")
        assert not running.bus.asked


async def test_malformed_ids_in_paths_are_invalid_requests(running: Running) -> None:
    async with api(running) as http:
        for path in ("/v1/sessions/x", "/v1/sessions/0", f"/v1/sessions/{uuid4()}/messages/x", "/v1/sessions/%00"):
            refused(await http.get(path), 422, "invalid_request")
        assert (await http.get(f"/v1/sessions/{str((await started(http))['id']).upper()}")).status_code == 200


async def test_idempotency_key_and_client_id_must_agree(running: Running) -> None:
    async with api(running) as http:
        path = await messages_path(http)
        body = {"content": "x", "client_message_id": "a"}
        refused(await http.post(path, json=body, headers={"Idempotency-Key": "b"}), 422, "invalid_request")
        two = [("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
        refused(await http.post(path, json=body, headers=two), 422, "invalid_request")
        refused(
            await http.post("/v1/sessions", json={}, headers={"Idempotency-Key": "k" * 129}), 422, "invalid_request"
        )
        assert not running.bus.sent
        assert (await http.post(path, json=body, headers={"Idempotency-Key": "a"})).status_code == 202
        assert (await http.get("/v1/sessions", headers=two)).status_code == 200, "elsewhere it is ignored"


async def test_requests_without_a_key_are_new_ones(running: Running) -> None:
    async with api(running) as http:
        path = await messages_path(http)
        ids = {(await http.post(path, json={"content": "x"})).json()["message_id"] for _ in range(3)}
        sessions = {(await started(http))["id"] for _ in range(3)}
        assert (len(ids), len(sessions)) == (3, 3)


async def test_stalled_body_is_refused(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """It delays no other request."""
    monkeypatch.setattr(forms, "BODY_WITHIN", 0.3)
    head = f"Authorization: Bearer {running.issuer.token('ada')}\r\nContent-Type: application/json\r\n"
    request = f"POST /v1/sessions HTTP/1.1\r\nHost: x\r\n{head}Content-Length: 100\r\n\r\n{{"
    stalled = asyncio.create_task(exchange(running, request))
    async with api(running) as http:
        await started(http)
    assert (await stalled)[0].startswith("HTTP/1.1 422")


async def test_condition_is_decided_with_the_change(running: Running) -> None:
    async with api(running) as http:
        session = f"/v1/sessions/{(await started(http))['id']}"
        read = await http.get(session)
        assert read.headers["etag"] == '"0"'
        assert (await http.patch(session, json={"title": "a"}, headers={"If-Match": '"0"'})).headers["etag"] == '"1"'
        for tag in ('"0"', 'W/"1"', '"x"', "1"):
            stale = await http.patch(session, json={"title": "b"}, headers={"If-Match": tag})
            refused(stale, 412, "conflict")
            refused(await http.delete(session, headers={"If-Match": tag}), 412, "conflict")
        assert (await http.patch(session, json={"title": "b"}, headers={"If-Match": "*"})).status_code == 200


async def test_head_is_get_without_a_body(running: Running) -> None:
    async with api(running) as http:
        session = f"/v1/sessions/{(await started(http))['id']}"
        for path in ("/v1/sessions", "/v1/chatbots", session, f"{session}/messages", f"{session}/messages/{uuid4()}"):
            got, head = await http.get(path), await http.head(path)
            assert (head.status_code, head.content) == (got.status_code, b"")
            assert {**head.headers, "date": ""} == {**got.headers, "date": ""}
        refused(await http.put(session), 405, "method_not_allowed")


async def test_budget_of_a_user_is_one_over_both_doors(gateway: Running) -> None:
    """A refusal has `Retry-After` in whole seconds, rounded up."""
    await gateway.start(events_burst=3, events_per_second=0.4)
    socket = await gateway.client("ada")
    async with api(gateway) as http, api(gateway, "bob") as other:
        assert (await http.get("/v1/sessions")).status_code == 200
        assert (await socket.call("list_chats", {}))["ok"]
        assert (await http.get("/v1/chatbots")).status_code == 200
        answer = await http.get("/v1/sessions")
        refused(answer, 429, "rate_limited")
        assert answer.headers["retry-after"] in ("2", "3")
        assert (await socket.call("list_chats", {}))["error"]["code"] == "rate_limited"
        assert (await other.get("/v1/sessions")).status_code == 200


async def test_away_persistence_is_unavailable_and_messages_to_served_sessions_are_accepted(running: Running) -> None:
    """Contract P7: a session counts as joined while the gateway serves it to the user."""
    async with api(running) as http, api(running, "eve") as stranger:
        path = await messages_path(http)
        running.bus.refuse_queries = Unavailable(retry_after=1.2)
        answer = await http.get("/v1/sessions")
        refused(answer, 503, "unavailable")
        assert answer.headers["retry-after"] == "2"
        assert (await http.post(path, json={"content": "x"})).status_code == 202
        refused(await http.post(f"/v1/sessions/{uuid4()}/messages", json={"content": "x"}), 503, "unavailable")
        refused(await stranger.post(path, json={"content": "x"}), 503, "unavailable")


async def test_requests_in_flight_of_a_user_are_bounded(gateway: Running) -> None:
    await gateway.start(events_in_flight=2)
    gateway.bus.answering.clear()
    async with api(gateway) as http:
        asked = {asyncio.create_task(http.get("/v1/sessions")) for _ in range(3)}
        [third], held = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        refused(await third, 429, "rate_limited")
        gateway.bus.answering.set()
        assert [answer.status_code for answer in await asyncio.gather(*held)] == [200, 200]


async def test_messages_and_sessions_are_read_one_by_one(running: Running) -> None:
    socket = await running.client("ada")
    session = await start_chat(socket)
    async with api(running) as http, api(running, "eve") as stranger:
        path = f"/v1/sessions/{session['id']}"
        sent = (await http.post(f"{path}/messages", json={"content": "x"})).json()["message_id"]
        message = (await http.get(f"{path}/messages/{sent}")).json()["message"]
        assert message == running.bus.chats[UUID(session["id"])].messages[0].to_dict()
        read = (await http.get(path)).json()["session"]
        assert read == {**session, "last_seq": 1, "read_seq": 0, "updated_at": read["updated_at"]}
        for foreign in (path, f"{path}/messages/{sent}"):
            mine, nothing = await stranger.get(foreign), await http.get(foreign.replace(session["id"], str(uuid4())))
            assert (mine.status_code, mine.content) == (404, nothing.content)

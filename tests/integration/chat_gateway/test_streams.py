"""Streams of one session: the cursor, the changes after it, `ready`, and live events."""

from __future__ import annotations

import httpx2
import pytest

from chat_gateway.sessions import session_state
from chat_gateway.streams.stream import END_WITHIN, Stream
from tests.integration.chat_gateway.conftest import Running, start_chat
from tests.integration.chat_gateway.following import stream
from tests.support.waiting import pause, until


async def test_changes_after_the_cursor_come_before_ready(running: Running) -> None:
    """New messages, a changed older one, and the session's own change, each in its place."""
    session = await start_chat(await running.client("ada"))
    old = running.bus.store(session["id"], "old")
    running.bus.store(session["id"], "two")
    new = running.bus.store(session["id"], "three")
    running.bus.retitle(session["id"], "A title")
    running.bus.update(old, content="edited")
    running.bus.update(new, content="edited too")
    async with stream(running, session, after_seq=2) as following:
        ready = await following.until("ready")
        running.bus.store(session["id"], "seven")
        await following.until("message", lambda message: message["content"] == "seven")
    assert [(event.name, event.id) for event in following.events] == [
        ("session_updated", 4),
        ("message_updated", 5),
        ("message", 6),
        ("ready", 6),
        ("message", 7),
    ]
    assert "read_seq" not in following.events[0].data
    assert set(ready) == {"session", "last_seq", "active_replies"}
    assert (ready["session"]["id"], ready["last_seq"], ready["active_replies"]) == (session["id"], 6, [])
    assert "read_seq" in ready["session"]


async def test_response_is_an_uncompressed_event_stream_with_a_random_retry(running: Running) -> None:
    """Proxies must not buffer it, and clients must not all reconnect at the same time."""
    session = await start_chat(await running.client("ada"))
    retries = set()
    for _ in range(3):
        async with stream(running, session) as following:
            await following.until("ready")
        headers = following.response.headers
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert headers["x-accel-buffering"] == "no"
        assert headers["cache-control"] == "no-store"
        assert "content-encoding" not in headers
        retries.add(following.raw.split("\n")[0])
    assert all(line.startswith("retry: ") and 1_000 <= int(line[7:]) <= 3_000 for line in retries)
    assert len(retries) > 1


@pytest.mark.parametrize(
    ("header", "parameter", "status", "code"),
    [
        ("abc", None, 422, "invalid_request"),
        (None, "abc", 422, "invalid_request"),
        ("-1", None, 422, "invalid_request"),
        ("1.0", None, 422, "invalid_request"),
        (None, "+1", 422, "invalid_request"),
        (None, "\u0661", 422, "invalid_request"),
        ("abc", "1", 422, "invalid_request"),
        ("3", None, 409, "conflict"),
        (None, "3", 409, "conflict"),
        ("9" * 30, None, 409, "conflict"),
        (None, "9" * 30, 409, "conflict"),
        ("9" * 5_000, None, 409, "conflict"),
    ],
)
async def test_wrong_cursor_is_refused_before_the_stream(
    running: Running, header: str | None, parameter: str | None, status: int, code: str
) -> None:
    session = await start_chat(await running.client("ada"))
    running.bus.store(session["id"], "one")
    running.bus.store(session["id"], "two")
    parameters = {} if parameter is None else {"after_seq": parameter}
    async with stream(running, session, last_event_id=header, **parameters) as refused:
        assert (refused.response.status_code, refused.response.json()["code"]) == (status, code)
        assert refused.response.headers["content-type"] == "application/problem+json"
    assert running.metric("streams") == 0


async def test_connection_of_a_refused_stream_stays_usable(running: Running) -> None:
    """The end of a stream that never began concerns no later response of the connection."""
    session = await start_chat(await running.client("ada"))
    headers = {"Authorization": f"Bearer {running.issuer.token('ada')}"}
    path = f"/v1/sessions/{session['id']}/events"
    async with httpx2.AsyncClient(base_url=running.url, headers=headers) as http:
        assert (await http.get(path, params={"after_seq": 1})).status_code == 409
        async with http.stream("GET", path) as response:
            transports = {
                each._transport
                for each in running.server._callbacks._connected_users.all_sockets()
                if isinstance(each, Stream)
            }
            assert len(transports) == 1
            await pause(END_WITHIN + 0.5, "the time after which an unwritten stream is aborted")
            assert not transports.pop().is_closing()
            assert response.status_code == 200


@pytest.mark.parametrize(
    ("header", "parameter", "numbers"),
    [(None, None, []), ("", "1", [2]), ("1", "0", [2]), ("0", "2", [1, 2]), (None, "", []), ("2", None, [])],
)
async def test_cursor_is_last_event_id_then_after_seq_then_the_newest(
    running: Running, header: str | None, parameter: str | None, numbers: list[int]
) -> None:
    session = await start_chat(await running.client("ada"))
    running.bus.store(session["id"], "one")
    running.bus.store(session["id"], "two")
    parameters = {} if parameter is None else {"after_seq": parameter}
    async with stream(running, session, last_event_id=header, **parameters) as following:
        await following.until("ready")
    assert [event.id for event in following.events] == [*numbers, 2]


async def test_foreign_and_missing_sessions_are_not_found(running: Running) -> None:
    session = await start_chat(await running.client("ada"))
    missing = {"id": "00000000-0000-4000-8000-000000000000"}
    for user, at in (("eve", session), ("ada", missing)):
        async with stream(running, at, user) as refused:
            assert (refused.response.status_code, refused.response.json()["code"]) == (404, "not_found")


async def test_head_is_not_allowed(running: Running) -> None:
    session = await start_chat(await running.client("ada"))
    headers = {"Authorization": f"Bearer {running.issuer.token('ada')}"}
    async with httpx2.AsyncClient(base_url=running.url, headers=headers) as http:
        for path in (f"/v1/sessions/{session['id']}/events", "/v1/events"):
            answer = await http.head(path)
            assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


async def test_changes_during_the_catch_up_follow_ready_without_gap_or_repetition(running: Running) -> None:
    """One is stored between the snapshot and its answer."""
    ada = await running.client("ada")
    session = await start_chat(ada)
    running.bus.store(session["id"], "one")

    async def between() -> None:
        if len(running.bus.chats[chat].messages) < 3:
            running.bus.store(session["id"], "between")
            await ada.hears("message", len(running.bus.chats[chat].messages))

    chat = next(iter(running.bus.chats))
    running.bus.between = between
    async with stream(running, session, after_seq=0) as following:
        running.bus.store(session["id"], "after")
        await until(lambda: len(following.numbered) == 3)
    assert [event.id for event in following.events] == [1, 1, 2, 3]
    assert [event.name for event in following.events] == ["message", "ready", "message", "message"]


async def test_long_catch_up_is_read_page_by_page(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """More changes than one page, more than a join buffers, and further ones during the pages."""
    monkeypatch.setattr(session_state, "PENDING_MAX", 50)
    ada = await running.client("ada")
    session = await start_chat(ada)
    for number in range(700):
        running.bus.store(session["id"], str(number))
    first = running.bus.chats[next(iter(running.bus.chats))].messages[0]

    async def between() -> None:
        if running.bus.asked[-1] == "JoinSession" and running.bus.asked.count("JoinSession") <= 3:
            for number in range(40):
                running.bus.store(session["id"], f"late {number}")
            running.bus.update(first, content=f"changed {len(running.bus.asked)}")
            running.bus.retitle(session["id"], f"title {len(running.bus.asked)}")

    running.bus.between = between
    async with stream(running, session, after_seq=0) as following:
        await following.until("ready")
        last = running.bus.store(session["id"], "the last").seq
        await following.until("message", lambda message: message["seq"] == last)
    ids = [event.id for event in following.events if event.name != "ready"]
    assert ids == sorted(set(ids))  # type: ignore[type-var]
    seen = {event.data["id"]: event.data for event in following.events if event.name.startswith("message")}
    stored = running.bus.chats[next(iter(running.bus.chats))].messages
    assert {key: value["content"] for key, value in seen.items()} == {str(m.id): m.content for m in stored}
    assert running.bus.asked.count("JoinSession") >= 4

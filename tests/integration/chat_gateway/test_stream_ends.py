"""How streams end."""

from __future__ import annotations

import time

from tests.integration.chat_gateway.conftest import Running, start_chat
from tests.integration.chat_gateway.following import stream, user_stream
from tests.integration.chat_gateway.rooms import ok, room
from tests.support.waiting import until


async def test_deleted_session_ends_its_stream_but_not_that_of_the_user(running: Running) -> None:
    ada = await running.client("ada")
    session = await start_chat(ada)
    async with stream(running, session) as following, user_stream(running) as all_events:
        await following.until("ready")
        await all_events.until("ready")
        await ok(ada, "delete_chat", session_id=session["id"])
        await until(lambda: following.closed)
        assert (following.events[-1].name, following.events[-1].data) == (
            "session_deleted",
            {"session_id": session["id"]},
        )
        assert following.events[-1].id is None
        await all_events.until("session_deleted")
        assert not all_events.closed


async def test_removed_member_receives_session_deleted_and_nothing_after(running: Running) -> None:
    """The stream of another member continues. Messages stored after the removal are not for the former member."""
    session, [ada, _] = await room(running, "bob")
    async with stream(running, session, "bob") as his, stream(running, session, "ada") as hers:
        await his.until("ready")
        await hers.until("ready")
        await ok(ada, "remove_user", session_id=session["id"], user_id="bob")
        running.bus.store(session["id"], "secret")
        await until(lambda: his.closed)
        await hers.until("message", lambda message: message["content"] == "secret")
    assert his.events[-1].name == "session_deleted"
    assert "secret" not in his.raw


async def test_deletion_during_a_catch_up_ends_the_stream(running: Running) -> None:
    session = await start_chat(await running.client("ada"))
    chat = next(iter(running.bus.chats.values()))
    for number in range(300):
        running.bus.store(session["id"], str(number))

    async def between() -> None:
        running.bus.chats.pop(chat.session.id, None)

    running.bus.between = between
    async with stream(running, session, after_seq=0) as following:
        await until(lambda: following.closed)
    assert following.events[-1].name == "session_deleted"
    assert len(following.events) == 201


async def test_expired_token_ends_streams_with_auth_expired(running: Running) -> None:
    session = await start_chat(await running.client("ada"))
    token = running.issuer.token("ada", exp=int(time.time()) + 2)
    async with stream(running, session, token=token) as following:
        await until(lambda: following.closed)
    assert following.events[-1].name == "auth_expired"
    assert [event.name for event in following.named("token_expiring")] == ["token_expiring"]


async def test_revoked_login_ends_its_streams_within_two_seconds(running: Running) -> None:
    """Only those of this login."""
    session = await start_chat(await running.client("ada"))
    other = running.issuer.token("ada", sid="another login")
    async with (
        stream(running, session) as revoked,
        user_stream(running) as all_events,
        stream(running, session, token=other) as kept,
    ):
        for each in (revoked, all_events, kept):
            await each.until("ready")
        begun = time.monotonic()
        running.issuer.revoke("login of ada")
        await until(lambda: revoked.closed and all_events.closed)
        assert time.monotonic() - begun < 2
        running.bus.store(session["id"], "later")
        await kept.until("message")
    assert "later" not in revoked.raw


async def test_drain_ends_streams_with_going_away(running: Running) -> None:
    session = await start_chat(await running.client("ada"))
    async with stream(running, session) as following, user_stream(running) as all_events:
        await following.until("ready")
        await all_events.until("ready")
        await running.service.drain()  # type: ignore[misc]
        await until(lambda: following.closed and all_events.closed)
    for each in (following, all_events):
        assert each.events[-1].name == "going_away"
        assert 0 < each.events[-1].data["retry_after"] <= 2
    async with stream(running, session) as refused:
        assert refused.response.status_code == 503
        assert int(refused.response.headers["retry-after"]) >= 1

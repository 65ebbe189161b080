"""Service accounts over Socket.IO: own sessions, membership, revocation, and a separate budget."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2
import jwt

from tests.e2e.test_revocation import PROMISED, call, disconnected, in_time, refused_soon
from tests.support.client import PATIENCE, Account, Device, new_account
from tests.support.stack import Stack


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A service with a fresh access token."""

    name: str
    key: str
    token: str

    @property
    def id(self) -> str:
        return f"service:{self.name}"


async def issued(stack: Stack, name: str, key: str) -> str:
    """Exchange a key for an access token, as a stock OAuth client does: by HTTP Basic."""
    async with httpx2.AsyncClient(base_url=stack.auth_url, timeout=PATIENCE) as http:
        answer = await http.post("/token", data={"grant_type": "client_credentials"}, auth=(name, key))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


async def command(stack: Stack, *arguments: str) -> str:
    code, output = await asyncio.to_thread(stack.service, *arguments)
    assert code == 0, output
    return output


async def new_service(stack: Stack, *scopes: str) -> ServiceAccount:
    """Create a service by the operators' command, while the processes run."""
    name = f"svc-{secrets.token_hex(6)}"
    key = (await command(stack, "create", name, "--scope", *scopes)).splitlines()[-1]
    return ServiceAccount(name, key, await issued(stack, name, key))


async def test_service_chats_in_its_own_session(stack: Stack) -> None:
    service = await new_service(stack, "chat")
    async with Device(stack.gateway_urls[0], service.token) as device:
        ready = await device.until("ready")
        assert ready["user_id"] == service.id
        session = await device.start_chat()
        assert (session["owner_id"], session["users"]) == (service.id, [service.id])
        sent = await device.send(session, "hello")
        message = await device.until("message", lambda m: m["id"] == sent)
        assert (message["sender_type"], message["sender_id"]) == ("user", service.id)
        reply = await device.reply_to(message["id"])
        assert (reply["sender_type"], reply["content"]) == ("chatbot", "hello")


async def test_service_is_invited_and_removed_like_a_user(stack: Stack, account: Account) -> None:
    service = await new_service(stack, "chat")
    async with (
        Device(stack.gateway_urls[0], account.token) as owner,
        Device(stack.gateway_urls[-1], service.token) as bot,
    ):
        session = await owner.start_chat()
        assert await bot.error("join_chat", {"session_id": session["id"]}) == "not_found"
        assert await bot.error("get_messages", {"session_id": session["id"]}) == "not_found"
        assert await bot.error("send_message", {"session_id": session["id"], "content": "x"}) == "not_found"
        invite = (await owner.ok("create_invite", session_id=session["id"]))["invite"]
        joined = (await bot.ok("accept_invite", invite=invite))["session"]
        assert joined["users"] == [account.id, service.id]
        await bot.send(session, "from the service")
        message = await owner.until(
            "message", lambda m: m["content"] == "from the service" and m["sender_type"] == "user"
        )
        assert message["sender_id"] == service.id
        removed = await owner.ok("remove_user", session_id=session["id"], user_id=service.id)
        assert removed["session"]["users"] == [account.id]
        await bot.until("session_deleted", lambda p: p["session_id"] == session["id"])
        assert await bot.error("join_chat", {"session_id": session["id"]}) == "not_found"


async def test_user_of_the_same_name_is_another_principal(stack: Stack) -> None:
    """Their sessions and their idempotency keys have nothing to do with each other."""
    service = await new_service(stack, "chat")
    passcode = secrets.token_urlsafe(16)
    async with httpx2.AsyncClient(base_url=stack.auth_url, timeout=PATIENCE) as http:
        body = {"id": service.name, "passcode": passcode}
        assert (await http.post("/register", json=body)).status_code == 201
        user = str((await http.post("/login", json=body)).json()["access_token"])
    async with Device(stack.gateway_urls[0], service.token) as bot, Device(stack.gateway_urls[0], user) as person:
        first = await bot.start_chat(client_request_id="same")
        second = await person.start_chat(client_request_id="same")
        assert first["id"] != second["id"]
        assert await person.error("join_chat", {"session_id": first["id"]}) == "not_found"
        ack = await bot.call("refresh_token", {"token": user})
        assert (ack["ok"], ack["error"]["code"]) == (False, "forbidden")
        ack = await person.call("refresh_token", {"token": service.token})
        assert (ack["ok"], ack["error"]["code"]) == (False, "forbidden")


async def test_socket_of_a_service_takes_a_newer_token(stack: Stack) -> None:
    service = await new_service(stack, "chat")
    async with Device(stack.gateway_urls[0], service.token) as device:
        newer = await issued(stack, service.name, service.key)
        await device.ok("refresh_token", token=newer)
        assert await call(stack, "POST", "/logout", service.token) == 204
        await refused_soon(stack.gateway_urls[0], service.token)
        await device.ok("list_chatbots")  # the socket belongs to the newer token
        assert await call(stack, "POST", "/logout", newer) == 204
        await disconnected(device)


async def test_revoked_key_ends_its_sockets_on_every_gateway(stack: Stack) -> None:
    first, last = stack.gateway_urls[0], stack.gateway_urls[-1]

    async def attempt() -> float:
        service = await new_service(stack, "chat")
        second_key = (await command(stack, "rotate", service.name)).splitlines()[-1]
        kept_token = await issued(stack, service.name, second_key)
        sid = jwt.decode(service.token, options={"verify_signature": False})["sid"]
        async with (
            Device(first, kept_token) as kept,
            Device(first, service.token) as a,
            Device(last, service.token) as b,
        ):
            await command(stack, "revoke", service.name, "--key", sid)
            begun = time.monotonic()
            await disconnected(a, b)
            took = time.monotonic() - begun
            await refused_soon(last, service.token)
            await kept.ok("list_chatbots")
            await command(stack, "revoke", service.name)
            await disconnected(kept)
        return took

    assert await in_time(attempt) <= PROMISED


async def test_services_have_their_own_budget(stack: Stack) -> None:
    service = await new_service(stack, "chat")
    account = await new_account(stack.auth_url)
    async with (
        Device(stack.gateway_urls[0], service.token) as bot,
        Device(stack.gateway_urls[0], account.token) as person,
    ):
        limits: list[dict[str, Any]] = [(await each.until("ready"))["limits"] for each in (bot, person)]
        assert (limits[0]["events_per_second"], limits[0]["burst"]) == (200, 800)
        assert (limits[1]["events_per_second"], limits[1]["burst"]) == (50, 200)


async def test_user_of_a_service_chats_with_a_lent_login_until_the_service_is_revoked(stack: Stack) -> None:
    service = await new_service(stack, "users")
    user_id = f"shop-{secrets.token_hex(6)}"
    async with httpx2.AsyncClient(base_url=stack.auth_url, timeout=PATIENCE) as http:
        bearer = {"Authorization": f"Bearer {service.token}"}
        assert (await http.put(f"/v1/users/{user_id}", headers=bearer)).status_code == 201
        lent = (await http.post(f"/v1/users/{user_id}/login", headers=bearer)).json()
    async with (
        Device(stack.gateway_urls[0], lent["access_token"]) as user,
        Device(stack.gateway_urls[-1], service.token) as bot,
    ):
        session = await user.start_chat()
        assert session["users"] == [user_id]
        reply = await user.reply_to(await user.send(session, "hello"))
        assert reply["content"] == "hello"
        assert await bot.error("list_chats", {}) == "forbidden", "the scope `users` opens no chat"
        assert await bot.error("start_chat", {}) == "forbidden"
        assert await bot.error("send_message", {"session_id": session["id"], "content": "x"}) == "forbidden"
        assert await bot.error("unheard_of", {}) == "forbidden"
        await command(stack, "revoke", service.name)
        await disconnected(user, bot)


async def test_messages_of_an_erased_user_of_a_service_are_erased(stack: Stack, account: Account) -> None:
    service = await new_service(stack, "users")
    user_id = f"shop-{secrets.token_hex(6)}"
    bearer = {"Authorization": f"Bearer {service.token}"}
    async with httpx2.AsyncClient(base_url=stack.auth_url, timeout=PATIENCE) as http:
        assert (await http.put(f"/v1/users/{user_id}", headers=bearer)).status_code == 201
        lent = (await http.post(f"/v1/users/{user_id}/login", headers=bearer)).json()
        async with (
            Device(stack.gateway_urls[0], account.token) as owner,
            Device(stack.gateway_urls[-1], lent["access_token"]) as user,
        ):
            session = await owner.start_chat()
            await user.ok("accept_invite", invite=(await owner.ok("create_invite", session_id=session["id"]))["invite"])
            message_id = await user.send(session, "my secret")
            await owner.until("message", lambda m: m["id"] == message_id)
            assert (await http.delete(f"/v1/users/{user_id}", headers=bearer)).status_code == 204
            await disconnected(user)
            erased = await owner.until("message_updated", lambda m: m["id"] == message_id and m["status"] == "erased")
            assert erased["content"] == ""


async def test_service_with_transcripts_follows_a_session_of_others_and_may_do_no_more(
    stack: Stack, account: Account
) -> None:
    service = await new_service(stack, "transcripts")
    async with (
        Device(stack.gateway_urls[0], account.token) as owner,
        Device(stack.gateway_urls[-1], service.token) as watcher,
    ):
        session = await owner.start_chat()
        first = await owner.send(session, "before")
        await owner.reply_to(first)
        joined = await watcher.ok("join_chat", session_id=session["id"], after_seq=0)
        assert [m["content"] for m in joined["messages"]] == ["before", "before"]
        assert joined["session"]["users"] == [account.id], "it is no member"
        second = await owner.send(session, "after")
        await watcher.until("message", lambda m: m["id"] == second)
        await watcher.reply_to(second)
        await owner.ok("update_chat", session_id=session["id"], title="Renamed")
        await watcher.until("session_updated", lambda s: s["title"] == "Renamed")
        numbers = [p.get("updated_seq", p["seq"]) for _, p in watcher.received("message", session=session)]
        assert numbers == sorted(set(numbers))
        of = {"session_id": session["id"]}
        assert (await watcher.ok("get_messages", **of))["messages"]
        for event, payload in (
            ("send_message", {**of, "content": "x"}),
            ("update_chat", {**of, "title": "x"}),
            ("stop_reply", {**of, "message_id": second}),
            ("regenerate_reply", {**of, "message_id": second}),
            ("edit_message", {**of, "message_id": second, "content": "x"}),
            ("mark_read", {**of, "seq": 1}),
            ("set_typing", {**of, "typing": True}),
            ("create_invite", of),
            ("delete_chat", of),
            ("start_chat", {}),
            ("list_chats", {}),
            ("search_messages", {"query": "before"}),
        ):
            assert await watcher.error(event, payload) == "forbidden", event
        assert await watcher.error("join_chat", {"session_id": str(uuid4())}) == "not_found"
        await owner.ok("delete_chat", **of)
        await watcher.until("session_deleted", lambda p: p["session_id"] == session["id"])
        assert await watcher.error("join_chat", of) == "not_found"


async def test_service_follows_a_session_of_others_by_a_stream(stack: Stack, account: Account) -> None:
    service, other = await new_service(stack, "transcripts"), await new_service(stack, "users")
    path, bearer = "/v1/sessions/{}/events?after_seq=0", {"Authorization": f"Bearer {service.token}"}
    async with (
        Device(stack.gateway_urls[0], account.token) as owner,
        httpx2.AsyncClient(base_url=stack.gateway_urls[-1], timeout=PATIENCE) as http,
    ):
        session = await owner.start_chat()
        await owner.reply_to(await owner.send(session, "before"))
        refused = await http.get(path.format(session["id"]), headers={"Authorization": f"Bearer {other.token}"})
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        for events in ("/v1/events", "/v1/sessions"):
            refused = await http.get(events, headers=bearer)
            assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        lines: list[str] = []
        async with http.stream("GET", path.format(session["id"]), headers=bearer) as stream:
            assert stream.status_code == 200
            async for line in stream.aiter_lines():
                lines.append(line)
                if line == "event: ready":
                    await owner.send(session, "after")
                    await owner.ok("delete_chat", session_id=session["id"])
        assert sum(line == "event: message" for line in lines) >= 2
        assert [line for line in lines if line.startswith("event: ")][-1] == "event: session_deleted"


async def test_accesses_of_a_service_are_listed(stack: Stack, account: Account) -> None:
    service = await new_service(stack, "transcripts")
    async with Device(stack.gateway_urls[0], account.token) as owner:
        session = await owner.start_chat()
    async with httpx2.AsyncClient(base_url=stack.gateway_urls[0], timeout=PATIENCE) as http:
        for part in ("", "/messages", "/changes?after_seq=0"):
            answer = await http.get(
                f"/v1/sessions/{session['id']}{part}", headers={"Authorization": f"Bearer {service.token}"}
            )
            assert answer.status_code == 200, answer.text
    code, output = await asyncio.to_thread(stack.accesses, "--service", service.name)
    assert code == 0, output
    rows = [line.split("\t") for line in output.splitlines()]
    assert [row[1:] for row in rows] == [
        [service.id, session["id"], what] for what in ("session", "messages", "follow")
    ]


async def test_service_with_sessions_writes_in_a_session_of_others(stack: Stack, account: Account) -> None:
    service = await new_service(stack, "sessions")
    async with (
        Device(stack.gateway_urls[0], account.token) as owner,
        Device(stack.gateway_urls[-1], service.token) as bot,
    ):
        session = await owner.start_chat()
        of = {"session_id": session["id"]}
        sent = await bot.send(session, "from outside", client_message_id="once")
        assert await bot.send(session, "from outside", client_message_id="once") == sent
        message = await owner.until("message", lambda m: m["id"] == sent)
        assert (message["sender_type"], message["sender_id"]) == ("user", service.id)
        reply = await owner.reply_to(sent)
        await bot.ok("edit_message", **of, message_id=sent, content="changed")
        await owner.until("message_updated", lambda m: m["id"] == sent and m["content"] == "changed")
        superseded = await owner.until("message_updated", lambda m: m["id"] == reply["id"] and m["superseded_by"])
        assert superseded["superseded_by"]
        for event, payload in (
            ("update_chat", {**of, "title": "x"}),
            ("add_chatbot", {**of, "chatbot_id": "eliza"}),
            ("create_invite", of),
            ("remove_user", {**of, "user_id": account.id}),
            ("delete_chat", of),
            ("mark_read", {**of, "seq": 1}),
            ("set_typing", {**of, "typing": True}),
            ("start_chat", {}),
        ):
            assert await bot.error(event, payload) == "forbidden", event
        missing = {"session_id": str(uuid4())}
        assert await bot.error("send_message", {**missing, "content": "x"}) == "not_found"
        assert await bot.error("stop_reply", {**missing, "message_id": sent}) == "not_found"
        assert [m["sender_id"] for m in await owner.history(session)][:2] == [service.id, "echo"]
        assert (await owner.ok("join_chat", **of))["session"]["users"] == [account.id], "it is no member"


async def test_service_with_sessions_starts_a_session_for_users(stack: Stack, account: Account) -> None:
    service, chatty = await new_service(stack, "sessions"), await new_service(stack, "chat", "transcripts")
    other = await new_account(stack.auth_url)
    key = {"Authorization": f"Bearer {service.token}", "Idempotency-Key": "first"}
    async with (
        Device(stack.gateway_urls[0], account.token) as owner,
        Device(stack.gateway_urls[-1], other.token) as member,
        Device(stack.gateway_urls[-1], service.token) as bot,
        httpx2.AsyncClient(base_url=stack.gateway_urls[0], timeout=PATIENCE) as http,
    ):
        form = {"title": "For you", "users": [account.id, other.id]}
        answer = await http.post("/v1/sessions", headers=key, json=form)
        assert answer.status_code == 201, answer.text
        session = answer.json()["session"]
        assert (session["owner_id"], session["users"]) == (account.id, [account.id, other.id])
        for device in (owner, member):
            await device.until("session_updated", lambda s: s["id"] == session["id"])
        again = await http.post("/v1/sessions", headers=key, json={"users": [other.id]})
        assert (again.status_code, again.json()["session"]["id"]) == (200, session["id"])
        started = await bot.ok("start_chat", users=[other.id.upper()], client_request_id="second")
        assert started["session"]["users"] == [other.id]
        await member.until("session_updated", lambda s: s["id"] == started["session"]["id"])
        for users in ([account.id, "nobody-at-all"], [service.id], [service.name]):
            assert await bot.error("start_chat", {"users": users}) == "not_found"
        for users in ([], "x", ["a b"], [1]):
            assert await bot.error("start_chat", {"users": users}) == "invalid_request"
        refusal = await http.post("/v1/sessions", headers={"Authorization": f"Bearer {account.token}"}, json=form)
        assert (refusal.status_code, refusal.json()["code"]) == (403, "forbidden")
        own = await owner.start_chat(users=[other.id])
        assert own["users"] == [account.id], "an unknown field of users over Socket.IO"
    async with Device(stack.gateway_urls[0], chatty.token) as refused:
        assert await refused.error("start_chat", {"users": [account.id]}) == "forbidden"
        assert await refused.error("send_message", {"session_id": session["id"], "content": "x"}) == "forbidden"

"""The HTTP API: each route of the table, mixed with Socket.IO, over all gateways of a stack."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx2

from tests.support.children import PLAIN_ENVIRONMENT
from tests.support.client import Account, Device, new_account
from tests.support.stack import ROOT, Stack
from tests.support.waiting import until

WAIT = {"Prefer": "wait=30"}


class ApiClient:
    """A user of the HTTP API of one gateway."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def call(self, method: str, path: str, expected: int = 200, **request: Any) -> Any:
        """Return the JSON of an answer with the expected status; `None` without a body."""
        answer = await self.raw(method, path, **request)
        assert answer.status_code == expected, (method, path, answer.status_code, answer.text)
        return answer.json() if answer.content else None

    async def raw(self, method: str, path: str, **request: Any) -> httpx2.Response:
        """Return an answer."""
        return await self._http.request(method, f"/v1{path}", **request)

    async def start(self, **fields: Any) -> str:
        """Start a session, by default with the chatbot that repeats a message, and return its id."""
        started = await self.call("POST", "/sessions", 201, json={"chatbot_ids": ["echo"], **fields})
        return str(started["session"]["id"])

    async def ask(self, session: str, content: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Send a message, and return it and the replies to it."""
        path = f"/sessions/{session}/messages"
        found = await self.call("POST", path, json={"content": content}, headers=WAIT)
        return found["message"], found["replies"]


@asynccontextmanager
async def api(stack: Stack, account: Account, gateway: int = 0) -> AsyncIterator[ApiClient]:
    bearer = {"Authorization": f"Bearer {account.token}"}
    async with httpx2.AsyncClient(base_url=stack.gateway_urls[gateway], headers=bearer, timeout=40) as http:
        yield ApiClient(http)


async def test_message_is_answered_within_one_request(stack: Stack, account: Account) -> None:
    """By another gateway it is read, and repeated with its key; the first payload wins."""
    async with api(stack, account) as one, api(stack, account, -1) as other:
        session = await one.start(title="Tea")
        path = f"/sessions/{session}/messages"
        keyed = {**WAIT, "Idempotency-Key": "first"}
        answer = await one.raw("POST", path, json={"content": "hello"}, headers=keyed)
        assert (answer.status_code, answer.headers["preference-applied"]) == (200, "wait=30")
        message, [reply] = answer.json()["message"], answer.json()["replies"]
        assert (message["content"], message["client_message_id"], message["sender_id"]) == (
            "hello",
            "first",
            account.id,
        )
        assert (reply["content"], reply["reply_to"], reply["status"]) == ("hello", message["id"], "complete")
        again = await other.call("POST", path, json={"content": "changed"}, headers=keyed)
        assert again == answer.json()
        accepted = await other.call("POST", path, 202, json={"content": "x", "client_message_id": "first"})
        assert accepted == {"message_id": message["id"], "client_message_id": "first", "status": "accepted"}
        assert (await other.call("GET", path))["messages"] == [message, reply]
        assert (await other.call("GET", f"{path}/{reply['id']}")) == {"message": reply}
        await other.call("GET", f"{path}/{uuid4()}", 404)


async def test_client_ids_are_the_same_over_both_doors(stack: Stack, account: Account) -> None:
    async with api(stack, account) as http, Device(stack.gateway_urls[-1], account.token) as device:
        chat = await device.start_chat(client_request_id="chat")
        answer = await http.raw("POST", "/sessions", json={"title": "x"}, headers={"Idempotency-Key": "chat"})
        assert (answer.status_code, answer.json()) == (200, {"session": chat})
        assert answer.headers["location"] == f"/v1/sessions/{chat['id']}"
        path = f"/sessions/{chat['id']}/messages"
        sent = await device.send(chat, "one", client_message_id="k")
        by_http = await http.call("POST", path, json={"content": "two"}, headers={**WAIT, "Idempotency-Key": "k"})
        assert by_http["message"]["id"] == sent
        second = await http.call("POST", path, 202, json={"content": "three"}, headers={"Idempotency-Key": "m"})
        assert await device.send(chat, "four", client_message_id="m") == second["message_id"]
        await device.reply_to(second["message_id"])
        found = await http.call("GET", path, params={"limit": 200})
        assert [m["content"] for m in found["messages"] if m["sender_type"] == "user"] == ["one", "three"]


async def test_messages_sent_after_the_answer_to_another_have_higher_numbers(stack: Stack, account: Account) -> None:
    """Over several connections and gateways in turn."""
    async with api(stack, account) as one, api(stack, account, -1) as other, api(stack, account) as third:
        session = await one.start(reply_policy="silent")
        path = f"/sessions/{session}/messages"
        for n in range(12):
            sender = (one, other, third)[n % 3]
            await sender.call("POST", path, 202, json={"content": str(n)})
        await one.ask(session, "last")
        found = (await other.call("GET", path, params={"limit": 50}))["messages"]
        assert [m["content"] for m in found] == [*map(str, range(12)), "last"]


async def test_sessions_are_listed_changed_under_a_condition_and_deleted(stack: Stack, account: Account) -> None:
    async with api(stack, account) as http:
        sessions = [await http.start(title=f"Chat {n}", reply_policy="silent") for n in range(3)]
        page = await http.call("GET", "/sessions", params={"limit": 2})
        rest = await http.call("GET", "/sessions", params={"limit": 2, "cursor": page["next_cursor"]})
        assert [s["id"] for s in (*page["sessions"], *rest["sessions"])] == sessions[::-1]
        assert rest["next_cursor"] is None
        path = f"/sessions/{sessions[0]}"
        first = await http.raw("GET", path)
        assert (first.headers["etag"], first.json()["session"]["read_seq"]) == ('"0"', 0)
        tag = {"If-Match": first.headers["etag"]}
        changed = await http.raw("PATCH", path, json={"title": "New"}, headers=tag)
        assert (changed.status_code, changed.headers["etag"]) == (200, '"1"')
        late = await http.raw("PATCH", path, json={"title": "Late"}, headers=tag)
        assert (late.status_code, late.json()["code"], late.json()["status"]) == (412, "conflict", 412)
        unchanged = await http.call("PATCH", path, json={})
        assert (unchanged["session"]["title"], unchanged["session"]["seq"]) == ("New", 1)
        assert (await http.raw("DELETE", path, headers=tag)).status_code == 412
        head = await http.raw("HEAD", path)
        assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", '"1"')
        await http.call("DELETE", path, 204, headers={"If-Match": '"7", "1"'})
        await http.call("GET", path, 404)


async def test_changes_are_read_from_a_number_on(stack: Stack, account: Account) -> None:
    """With the same fields as `join_chat`; a number above the newest is a conflict."""
    async with api(stack, account, -1) as http:
        session = await http.start(title="t")
        message, [reply] = await http.ask(session, "hello")
        path = f"/sessions/{session}/changes"
        newest = await http.call("GET", path)
        assert set(newest) == {"session", "messages", "has_more", "last_seq", "active_replies"}
        assert newest["messages"] == [message, reply]
        assert (newest["has_more"], newest["last_seq"], newest["active_replies"]) == (False, 2, [])
        after = await http.call("GET", path, params={"after_seq": 1, "limit": 1})
        assert (after["messages"], after["has_more"]) == ([reply], False)
        await http.call("GET", path, 409, params={"after_seq": 3})
        await http.call("PUT", f"/sessions/{session}/read", 204, json={"seq": 2})
        assert (await http.call("GET", path))["session"]["read_seq"] == 2


async def test_replies_are_stopped_regenerated_and_rated_and_messages_edited(stack: Stack, account: Account) -> None:
    async with api(stack, account) as http:
        session = await http.start(title="t")
        message, [reply] = await http.ask(session, "helo")
        path = f"/sessions/{session}/messages"
        await http.call("POST", f"{path}/{reply['id']}/stop", 204)
        await http.call("PUT", f"{path}/{reply['id']}/rating", 204, json={"rating": 1, "comment": "good"})
        new = await http.call("POST", f"{path}/{reply['id']}/regenerate")

        async def regenerated() -> bool:
            return (await http.raw("GET", f"{path}/{new['message_id']}")).status_code == 200

        await until(regenerated)
        assert await http.call("POST", f"{path}/{reply['id']}/regenerate") == new
        await http.call("PATCH", f"{path}/{message['id']}", 204, json={"content": "hello"})

        async def answered() -> bool:
            found = await http.call("GET", path)
            return any(m["content"] == "hello" and m["sender_type"] == "chatbot" for m in found["messages"])

        await until(answered)
        hits = (await http.call("GET", "/search", params={"query": "hello", "session_id": session}))["hits"]
        assert {hit["message"]["content"] for hit in hits} == {"hello"}


async def test_members_come_by_invites_and_go(stack: Stack, account: Account) -> None:
    guest = await new_account(stack.auth_url)
    async with api(stack, account) as owner, api(stack, guest, -1) as other:
        session = await owner.start(title="t")
        path = f"/sessions/{session}"
        await other.call("GET", path, 404)
        invited = await owner.call("POST", f"{path}/invites", 201, json={"max_uses": 1})
        joined = await other.call("POST", "/invites/accept", json={"invite": invited["invite"]})
        assert joined["session"]["users"] == [account.id, guest.id]
        await other.call("DELETE", f"{path}/users/{account.id}", 403)
        await other.call("DELETE", f"{path}/users/%40me", 204)
        await other.call("GET", path, 404)
        again = await owner.call("POST", f"{path}/invites", 201)
        await other.call("POST", "/invites/accept", json={"invite": again["invite"]})
        for _ in range(2):
            await owner.call("DELETE", f"{path}/users/{guest.id}", 204)
        await other.call("POST", f"{path}/messages", 404, json={"content": "still here?"})
        for name in ("me", "ME", "..."):
            await owner.call("DELETE", f"{path}/users/{name}", 404)


async def test_chatbots_are_listed_added_and_removed(stack: Stack, account: Account) -> None:
    async with api(stack, account) as http:
        catalogue = await http.call("GET", "/chatbots")
        assert {"echo", "eliza"} <= {bot["id"] for bot in catalogue["chatbots"]}
        session = await http.start(title="t", chatbot_ids=["echo"])
        path = f"/sessions/{session}/chatbots"
        for expected in (1, 1):
            added = await http.call("PUT", f"{path}/eliza")
            assert ([bot["id"] for bot in added["session"]["chatbots"]], added["session"]["seq"]) == (
                ["echo", "eliza"],
                expected,
            )
        for _ in range(2):
            removed = await http.call("DELETE", f"{path}/eliza")
            assert [bot["id"] for bot in removed["session"]["chatbots"]] == ["echo"]
        await http.call("PUT", f"{path}/nobody%2Fat%20all", 404)


async def test_foreign_and_missing_sessions_are_answered_alike(stack: Stack, account: Account) -> None:
    """By every route, byte for byte."""
    stranger = await new_account(stack.auth_url)
    async with api(stack, account) as owner, api(stack, stranger) as other:
        session = await owner.start(title="secret")
        message, [reply] = await owner.ask(session, "hello")
        requests: list[tuple[str, str, Any]] = [
            ("GET", "/sessions/{s}", None),
            ("PATCH", "/sessions/{s}", {"title": "x"}),
            ("DELETE", "/sessions/{s}", None),
            ("POST", "/sessions/{s}/messages", {"content": "x"}),
            ("GET", "/sessions/{s}/messages", None),
            ("GET", "/sessions/{s}/messages/{m}", None),
            ("GET", "/sessions/{s}/changes", None),
            ("GET", "/sessions/{s}/changes?after_seq=100", None),
            ("PATCH", "/sessions/{s}/messages/{m}", {"content": "x"}),
            ("POST", "/sessions/{s}/messages/{r}/stop", None),
            ("POST", "/sessions/{s}/messages/{r}/regenerate", None),
            ("PUT", "/sessions/{s}/messages/{r}/rating", {"rating": 1}),
            ("PUT", "/sessions/{s}/read", {"seq": 1}),
            ("POST", "/sessions/{s}/invites", {}),
            ("DELETE", "/sessions/{s}/users/@me", None),
            ("DELETE", "/sessions/{s}/users/" + account.id, None),
            ("PUT", "/sessions/{s}/chatbots/eliza", None),
            ("DELETE", "/sessions/{s}/chatbots/echo", None),
            ("GET", "/search?query=hello&session_id={s}", None),
        ]
        for method, path, body in requests:
            answers = []
            for place in (session, str(uuid4())):
                target = path.format(s=place, m=message["id"], r=reply["id"])
                answers.append(await other.raw(method, target, **({} if body is None else {"json": body})))
            assert {(a.status_code, a.content) for a in answers} == {(404, answers[0].content)}, (method, path)
        assert (await other.call("GET", "/search", params={"query": "hello"}))["hits"] == []
        assert (await owner.call("GET", f"/sessions/{session}"))["session"]["title"] == "secret"


async def test_concurrent_repetitions_of_a_key_are_one_message(stack: Stack, account: Account) -> None:
    async with api(stack, account) as one, api(stack, account, -1) as other:
        session = await one.start(title="t")
        path = f"/sessions/{session}/messages"
        keyed = {**WAIT, "Idempotency-Key": "same"}
        answers = await asyncio.gather(
            *(each.call("POST", path, json={"content": "hello"}, headers=keyed) for each in (one, other) * 4)
        )
        assert all(answer == answers[0] for answer in answers)
        assert len((await one.call("GET", path))["messages"]) == 2


async def test_program_of_the_how_to_asks_and_prints_the_reply(stack: Stack, account: Account) -> None:
    page = (ROOT / "docs/how-to/call-it-from-your-server.md").read_text()
    [program] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    variables = PLAIN_ENVIRONMENT | {"SITE": stack.gateway_urls[0], "TOKEN": account.token}
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env=variables, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await running.communicate()
    assert running.returncode == 0
    assert printed.decode().startswith("complete "), "the reply of the default chatbot"

"""No user reads, changes or learns of the existence of foreign data (contract P5): every event, every role."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import jwt
import pytest

from chat_gateway.protocol.payloads import CLIENT_EVENTS
from tests.integration.security.events import of_sessions, payload
from tests.integration.security.figures import foreign, foreign_tries
from tests.support.client import Account, Device, log_in, new_account
from tests.support.stack import EmbeddedStack, Stack

MEMBERS, OWNER, AUTHOR, IN_PART, NO_SESSION = "members", "owner", "author", "members, and the owner more", "anybody"
MATRIX = {  # which members may send an event (contract.md §3.3); non-members may not, as tested below
    "start_chat": NO_SESSION,
    "send_message": MEMBERS,
    "join_chat": MEMBERS,
    "leave_chat": MEMBERS,
    "get_messages": MEMBERS,
    "list_chats": NO_SESSION,
    "update_chat": IN_PART,
    "delete_chat": OWNER,
    "list_chatbots": NO_SESSION,
    "add_chatbot": OWNER,
    "remove_chatbot": OWNER,
    "create_invite": OWNER,
    "accept_invite": NO_SESSION,
    "leave_session": MEMBERS,
    "remove_user": OWNER,
    "stop_reply": MEMBERS,
    "regenerate_reply": MEMBERS,
    "edit_message": AUTHOR,
    "rate_reply": MEMBERS,
    "search_messages": NO_SESSION,
    "set_typing": MEMBERS,
    "mark_read": MEMBERS,
    "refresh_token": NO_SESSION,
}
CANARY = "rosebud-4711"
GUESSES = 60
TIMED = 150

pytestmark = pytest.mark.timeout(120)


@dataclass(frozen=True, slots=True)
class Cast:
    """Accounts and devices. `eve` and the admin `root` were never members; `zed` is a former member."""

    accounts: dict[str, Account]
    devices: dict[str, Device]

    def __getitem__(self, name: str) -> Device:
        return self.devices[name]

    async def room(self) -> dict[str, Any]:
        """Create a session of ada and bob that zed has left, with a message and a reply."""
        ada, bob, zed = (self[name] for name in ("ada", "bob", "zed"))
        session = await ada.start_chat("echo", title=CANARY)
        invite = (await ada.ok("create_invite", session_id=session["id"]))["invite"]
        for member in (bob, zed):
            await member.ok("accept_invite", invite=invite)
        await zed.ok("leave_session", session_id=session["id"])
        first = await ada.send(session, f"{CANARY} of ada")
        reply = await ada.reply_to(first)
        return {"session_id": session["id"], "message_id": reply["id"], "first": first, "invite": invite}


@pytest.fixture(scope="module")
def accounts(stack: Stack) -> dict[str, Account]:
    """The same people in all tests; hashing their passcodes takes a while."""

    async def register() -> dict[str, Account]:
        made = {name: await new_account(stack.auth_url) for name in ("ada", "bob", "zed", "eve", "root")}
        root = made["root"]
        await asyncio.to_thread(_make_admin, stack, root.id)
        return made | {"root": replace(root, token=await log_in(stack.auth_url, root.id, root.passcode))}

    found = asyncio.run(register())
    claims = jwt.decode(found["root"].token, options={"verify_signature": False})
    assert claims["roles"] == ["user", "admin"]
    return found


def _make_admin(stack: Stack, user_id: str) -> None:
    """As an operator does it, while the process runs."""
    assert isinstance(stack, EmbeddedStack)
    database = {"DATABASE_URL": f"sqlite+aiosqlite:///{stack.data}/auth.db"}
    command = stack.spawn("set-role", "auth_service", "user", "set-role", user_id, "--role", "admin", settings=database)
    assert command.ended(timeout=60) == 0, command.tail()


@pytest.fixture
async def cast(stack: Stack, accounts: dict[str, Account]) -> AsyncIterator[Cast]:
    async with AsyncExitStack() as open_ones:
        devices = {
            name: await open_ones.enter_async_context(Device(stack.gateway_urls[0], account.token))
            for name, account in accounts.items()
        }
        yield Cast(accounts, devices)


def test_every_event_has_a_row_in_the_matrix() -> None:
    """A new event fails here until its row is added."""
    assert MATRIX.keys() == CLIENT_EVENTS.keys()
    assert {name for name, who in MATRIX.items() if who != NO_SESSION} == set(of_sessions())


async def test_missing_and_foreign_sessions_are_indistinguishable(cast: Cast) -> None:
    """Every event that names a session: foreign, left, deleted and guessed ones are one answer, word for word."""
    foreign, deleted = await cast.room(), await cast.room()
    await cast["ada"].ok("delete_chat", session_id=deleted["session_id"])
    guessed = {"session_id": str(uuid4()), "message_id": str(uuid4())}
    tries = [
        *((name, foreign) for name in ("eve", "zed", "root")),
        *((name, kind) for name in cast.devices for kind in (deleted, guessed)),
    ]
    for event in of_sessions():
        answers = [await cast[name].call(event, payload(event, kind)) for name, kind in tries]
        assert answers[0]["error"]["code"] == "not_found", event
        assert answers.count(answers[0]) == len(answers), (event, answers)
    kept = await cast["ada"].ok("join_chat", session_id=foreign["session_id"])
    assert [message["content"] for message in kept["messages"]][:1] == [f"{CANARY} of ada"]
    assert kept["session"]["users"] == [cast.accounts[name].id for name in ("ada", "bob")]


@pytest.mark.parametrize("event", of_sessions())
async def test_members_and_owners_have_their_rights(cast: Cast, event: str) -> None:
    """The complement of the test above: members have access, except to the events of the owner."""
    room = await cast.room()
    made = payload(event, room)
    if MATRIX[event] == AUTHOR:
        made["message_id"] = room["first"]
        assert await cast["bob"].error(event, made) == "forbidden"  # he reads it, and only its author may edit it
        await cast["ada"].ok(event, **made)
        return
    if MATRIX[event] == IN_PART:
        assert await cast["bob"].error(event, made) == "forbidden"  # the policy is the owner's
        del made["reply_policy"]  # every member may set the title
    answer = await cast["bob"].call(event, made)
    allowed = answer["ok"] or answer["error"]["code"] not in {"forbidden", "internal", "unavailable"}
    assert allowed is (MATRIX[event] != OWNER), answer
    answer = await cast["ada"].call(event, made)
    assert answer["ok"] or answer["error"]["code"] == "conflict", answer


async def test_events_without_a_session_reveal_nothing_foreign(cast: Cast) -> None:
    """Lists, searches, invites, repeated requests and tokens: all others of the table are above."""
    room = await cast.room()
    shown = await cast["ada"].ok("search_messages", query=CANARY)
    assert shown["hits"]
    for name in ("eve", "zed", "root"):
        device = cast[name]
        assert CANARY not in str(await device.ok("list_chats"))
        for search in ({}, {"session_id": room["session_id"]}, {"session_id": str(uuid4())}):
            answer = await device.call("search_messages", {"query": CANARY, **search})
            assert answer.get("hits") == [] or answer["error"]["code"] == "not_found"
            assert CANARY not in str(answer)
        cursor = shown["next_cursor"] or (await cast["ada"].ok("list_chats", limit=1))["next_cursor"]
        assert CANARY not in str(await device.call("list_chats", {"cursor": cursor or "x"}))
        assert CANARY not in str(await device.call("search_messages", {"query": CANARY, "cursor": cursor or "x"}))
    first = await cast["ada"].ok("start_chat", client_request_id="the same")
    second = await cast["eve"].ok("start_chat", client_request_id="the same")
    assert first["session"]["id"] != second["session"]["id"]
    tampered = [room["invite"][:-1] + ("A" if room["invite"][-1] != "A" else "B"), "A" * 64, "x", room["session_id"]]
    for invite in tampered:
        assert await cast["eve"].error("accept_invite", {"invite": invite}) == "not_found"
    for stolen in (cast.accounts["ada"].token, cast.accounts["ada"].token + "x"):
        assert await cast["eve"].error("refresh_token", {"token": stolen}) == "forbidden"
    assert (await cast["eve"].ok("start_chat"))["session"]["owner_id"] == cast.accounts["eve"].id


async def test_foreign_message_is_not_reachable_through_an_own_session(cast: Cast) -> None:
    """The session is eve's own, the message ada's: nothing is found, nothing is changed."""
    room, own = await cast.room(), await cast["eve"].start_chat("echo")
    before = await cast["ada"].ok("join_chat", session_id=room["session_id"])
    for event, model in CLIENT_EVENTS.items():
        if "message_id" in model.model_fields:
            for message_id in (room["message_id"], room["first"]):
                made = payload(event, {"session_id": own["id"], "message_id": message_id})
                assert await cast["eve"].error(event, made) == "not_found", event
    quoting = await cast["eve"].send(own, "look", reply_to=room["message_id"])
    stored = await cast["eve"].until("message", lambda message: message["id"] == quoting)
    assert stored["reply_to"] is None
    after = await cast["ada"].ok("join_chat", session_id=room["session_id"])
    assert after["messages"] == before["messages"]
    assert after["last_seq"] == before["last_seq"]


async def test_fields_set_by_the_server_are_ignored_in_payloads(cast: Cast) -> None:
    """Sender, number, time, owner and status in a payload are ignored."""
    eve = cast["eve"]
    forged = {"owner_id": "ada", "users": ["ada"], "user_id": "ada", "id": str(uuid4()), "seq": 99}
    session = await eve.start_chat("echo", **forged)
    assert session["owner_id"] == cast.accounts["eve"].id
    assert session["users"] == [cast.accounts["eve"].id]
    assert session["id"] != forged["id"]
    lies = {"sender_id": "ada", "sender_type": "chatbot", "seq": 99, "created_at": "1999-01-01T00:00:00.000Z"}
    sent = await eve.send(session, "mine", status="erased", id=str(uuid4()), user_id="ada", **lies)
    stored = await eve.until("message", lambda message: message["id"] == sent)
    assert (stored["sender_id"], stored["sender_type"]) == (cast.accounts["eve"].id, "user")
    assert (stored["seq"], stored["status"]) == (1, "complete")
    assert stored["created_at"] > "2020"


async def test_guessed_ids_all_get_the_same_answer(cast: Cast, record_property: Callable[[str, object], None]) -> None:
    """Each of many ids with each event, all of them the same answer; the figures in docs/explanation/security.md."""
    room = await cast.room()
    tried, answers = await foreign(cast["eve"], [room["session_id"], *(str(uuid4()) for _ in range(GUESSES - 1))])
    record_property("figure", str(foreign_tries(tried, answers)))
    assert tried == GUESSES * len(of_sessions())
    (answer,) = answers
    assert "not_found" in answer
    assert room["session_id"] not in str(cast["eve"].events)


async def test_response_time_reveals_nothing(cast: Cast) -> None:
    """Medians over interleaved tries; the best of a few rounds, because the machine's own noise is none of ours."""
    room = await cast.room()
    await cast["bob"].ok("join_chat", session_id=room["session_id"])  # the gateway has it in memory
    for _ in range(5):
        took: dict[bool, list[float]] = {True: [], False: []}
        for n in range(2 * TIMED):
            foreign = n % 2 == 0
            begun = time.perf_counter()
            session_id = room["session_id"] if foreign else str(uuid4())
            assert await cast["eve"].error("get_messages", {"session_id": session_id}) == "not_found"
            took[foreign].append(time.perf_counter() - begun)
        ratio = statistics.median(took[True]) / statistics.median(took[False])
        if 0.8 < ratio < 1.25:
            return
    pytest.fail(f"a foreign session takes {ratio:.2f} times as long as one that is not there")

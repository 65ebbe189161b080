"""The Python client kit against real processes that are killed while it runs."""

from __future__ import annotations

import asyncio
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backchat_client import BackchatClient, Message, NotSignedIn, Refused, Sending, SessionState, SQLiteStore, Store
from tests.support.client import PATIENCE, Account, Device, new_account
from tests.support.compose import ComposedStack
from tests.support.ports import free_port
from tests.support.stack import ROOT, Stack
from tests.support.waiting import until

RECOVERY = 40.0  # seconds for a restart on a busy machine
FROZEN = 20.0  # seconds: the 8 s in which the kit waits for an ack, and a margin for a busy machine
MANY = 30  # messages

# A program that fills its outbox, has no gateway to send to, and is killed.
PROGRAM = """
import asyncio, sys
from backchat_client import BackchatClient, SQLiteStore

async def main(auth, gateway, user, passcode, store, session, count):
    client = BackchatClient(auth_url=auth, gateway_urls=[gateway], user_id=user, passcode=passcode, store=SQLiteStore(store))
    async with client:
        for number in range(int(count)):
            await client.send(session, f"kept {number}")
        print("kept", flush=True)
        await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


def client_of(stack: Stack, account: Account, store: Store | None = None) -> BackchatClient:
    return BackchatClient(
        auth_url=stack.auth_url,
        gateway_urls=stack.gateway_urls,
        user_id=account.id,
        passcode=account.passcode,
        store=store,
    )


async def history_of(stack: Stack, account: Account, session_id: str) -> list[Message]:
    """Read the history with a plain client (not the kit), through the last gateway as soon as it accepts one."""
    async with asyncio.timeout(RECOVERY), Device(stack.gateway_urls[-1], account.token) as device:
        return await device.history({"id": session_id})  # type: ignore[return-value]


def part_at(stack: Stack, url: str | None) -> str:
    """Return the name of the process at that address; behind an edge, of all gateways."""
    if isinstance(stack, ComposedStack):
        return "chat_gateway"
    return next(name for name, part in stack.parts.items() if part.url == url)


def answered(state: SessionState) -> bool:
    """Return whether the newest of the user's messages has its reply, and no reply is active."""
    mine = [m["id"] for m in state.messages if m["sender_type"] == "user"]
    return bool(mine) and not state.texts and any(m["reply_to"] == mine[-1] for m in state.messages)


async def send_past_a_frozen_gateway(stack: Stack, client: BackchatClient, session_id: str, content: str) -> Sending:
    """Send a message while the client's gateway is stopped by SIGSTOP; the kit connects to another one."""
    frozen = client.gateway
    child = stack.parts[part_at(stack, frozen)].child
    assert child
    child.signal(signal.SIGSTOP)
    try:
        sending = await client.send(session_id, content)
        await asyncio.wait_for(sending.stored(), FROZEN)
        assert client.gateway != frozen
    finally:
        child.signal(signal.SIGCONT)
    return sending


@pytest.fixture
async def own_account(own_stack: Stack) -> AsyncIterator[Account]:
    yield await new_account(own_stack.auth_url)


async def test_a_chat(stack: Stack) -> None:
    """Register, start a chat, and see a reply streamed and stored; a second device of the user has the same history."""
    account = Account(id=f"kit-{secrets.token_hex(6)}", passcode=secrets.token_urlsafe(16), token="")
    client = client_of(stack, account)
    await client.register()
    async with client, client_of(stack, account) as other:
        texts: list[str] = []
        client.listen(lambda notice: texts.append(notice.payload["text"]) if notice.name == "reply" else None)
        state = await client.start_chat("A chat", chatbot_ids=["echo"])
        mirror = await other.open(state.id)
        sending = await client.send(state.id, "one two three four 😀")
        message = await sending.stored()
        assert (message["id"], message["seq"]) == (await sending.accepted(), 1)
        await until(lambda: answered(state))
        await until(lambda: answered(mirror))
        reply = state.messages[-1]
        assert reply["content"] == "one two three four 😀"
        assert texts and all(reply["content"].startswith(text) for text in texts)
        assert texts == sorted(texts, key=len)
        assert mirror.messages == state.messages
        assert client.unsettled == []
        with pytest.raises(Refused, match="not_found"):
            await client.open("00000000-0000-4000-8000-000000000000")
        assert [s["id"] for s in (await client.call("list_chats"))["sessions"]] == [state.id]


async def test_shared_session_through_the_kit(stack: Stack) -> None:
    """Two users share a session: invite, edit, regenerate, read and leave; both have the same history after each step."""
    async with (
        client_of(stack, await new_account(stack.auth_url)) as ada,
        client_of(stack, await new_account(stack.auth_url)) as bob,
    ):
        hers = await ada.start_chat("A room", chatbot_ids=["echo"])
        await (await ada.send(hers.id, "words")).stored()
        await until(lambda: answered(hers))
        his = await bob.accept_invite(await ada.create_invite(hers.id, max_uses=1))
        assert his.messages == hers.messages
        asked, reply = his.messages
        await ada.edit_message(hers.id, asked["id"], "better words")
        await until(lambda: len(his.messages) == 3 and his.messages[1]["superseded_by"] == his.messages[2]["id"])
        assert [m["content"] for m in his.messages] == ["better words", "words", "better words"]
        new_id = await bob.regenerate_reply(his.id, his.messages[2]["id"])
        await until(lambda: hers.message(new_id) is not None)
        await until(lambda: his.message(new_id) is not None)
        assert his.messages == hers.messages
        await bob.rate_reply(his.id, new_id, 1, comment="now it is right")
        await bob.mark_read(his.id, his.cursor or 0)
        await until(lambda: his.read_seq == his.cursor)
        assert (await ada.update_chat(hers.id, title="Ours"))["title"] == "Ours"
        await until(lambda: bool(his.session and his.session["title"] == "Ours"))
        await bob.leave_session(his.id)
        await until(lambda: his.id not in bob.sessions)
        assert reply["id"] in [m["id"] for m in hers.messages]
        with pytest.raises(Refused, match="not_found"):
            await bob.open(his.id)


async def test_older_history(stack: Stack, account: Account) -> None:
    """A session opened late shows its newest page, and older pages on request, without gaps."""
    async with client_of(stack, account) as client:
        state = await client.start_chat("Long", chatbot_ids=["echo"], reply_policy="silent")
        sendings = [await client.send(state.id, f"number {n}") for n in range(60)]
        await asyncio.gather(*(sending.stored() for sending in sendings))
    async with client_of(stack, account) as later:
        late = await later.open(state.id)
        assert [m["seq"] for m in late.messages] == list(range(11, 61))
        assert late.has_older
        await later.older(state.id)
        assert [m["content"] for m in late.messages] == [f"number {n}" for n in range(60)]
        assert not late.has_older


async def test_wrong_passcode_stops_the_client(stack: Stack, account: Account) -> None:
    """The client stops, and every pending and later call raises `NotSignedIn`."""
    async with client_of(stack, Account(account.id, "not the passcode", "")) as client:
        with pytest.raises(NotSignedIn, match="invalid_credentials"):
            await client.start_chat()
        with pytest.raises(NotSignedIn):
            await client.send("00000000-0000-4000-8000-000000000000", "anything")


@pytest.mark.timeout(150)
async def test_client_survives_a_killed_gateway(own_stack: Stack, own_account: Account, tmp_path: Path) -> None:
    """The gateway is killed, then restarted: the kit reconnects, and every message is there once and in order."""
    async with client_of(own_stack, own_account, SQLiteStore(tmp_path / "outbox.db")) as client:
        shown: list[tuple[str, int]] = []
        client.listen(
            lambda notice: (
                shown.append((notice.payload["id"], notice.payload["seq"])) if notice.name == "message" else None
            )
        )
        state = await client.start_chat("Faults", chatbot_ids=["echo"])
        sendings: list[Sending] = []
        for round_, fault in enumerate((own_stack.kill9, own_stack.restart)):
            first = round_ * MANY
            for number in range(first, first + MANY):
                sendings.append(await client.send(state.id, f"message {number}"))
                if number == first + MANY // 2:
                    await sendings[first].stored()
                    assert client.gateway
                    await fault(part_at(own_stack, client.gateway))
            await own_stack.start()
            async with asyncio.timeout(RECOVERY):
                await asyncio.gather(*(sending.stored() for sending in sendings))
        if len(set(own_stack.gateway_urls)) > 1:
            sendings.append(await send_past_a_frozen_gateway(own_stack, client, state.id, f"message {2 * MANY}"))
        await until(lambda: answered(state), RECOVERY)
        history = await history_of(own_stack, own_account, state.id)
        mine = [m["content"] for m in history if m["sender_type"] == "user"]
        assert mine == [f"message {number}" for number in range(len(sendings))]
        assert state.messages == history
        assert shown == [(m["id"], m["seq"]) for m in history]  # each once and in order, over three connections
        assert state.cursor == history[-1]["seq"]
        assert client.unsettled == []


async def test_outbox_of_a_killed_client_is_sent_on_restart(stack: Stack, account: Account, tmp_path: Path) -> None:
    """The messages of a killed program are sent by its next start, once and in order."""
    store = tmp_path / "outbox.db"
    async with client_of(stack, account) as client:
        state = await client.start_chat("Outbox", chatbot_ids=["echo"], reply_policy="silent")
    unused = f"http://127.0.0.1:{free_port()}"
    arguments = [stack.auth_url, unused, account.id, account.passcode, str(store), state.id, str(MANY)]
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, *arguments, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert program.stdout
    assert await asyncio.wait_for(program.stdout.readline(), PATIENCE) == b"kept\n"
    program.send_signal(signal.SIGKILL)
    await asyncio.wait_for(program.wait(), PATIENCE)
    for _ in range(2):  # the second client finds an empty outbox
        async with client_of(stack, account, SQLiteStore(store)) as client:
            state = await client.open(state.id)
            await until(lambda: not client.unsettled)
            await until(lambda: len(state.messages) == MANY)  # noqa: B023
    history = await history_of(stack, account, state.id)
    assert [m["content"] for m in history] == [f"kept {number}" for number in range(MANY)]

"""Invalid tokens, malformed payloads and broken frames are answered with an error, and affect no other client."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import jwt
import pytest
import websockets
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.support.client import PATIENCE, Account, Device, Refused
from tests.support.stack import Stack


def forged(stack: Stack, token: str, **changes: Any) -> str:
    """Change claims of a token and sign it with the real key of the stack."""
    header = jwt.get_unverified_header(token)
    claims = {**jwt.decode(token, options={"verify_signature": False}), **changes}
    pem = max(stack.keys.glob("*.pem")).read_bytes()
    return jwt.encode(claims, load_pem_private_key(pem, None), "EdDSA", headers={"kid": header["kid"]})


async def refusal(stack: Stack, token: Any) -> str:
    with pytest.raises(Refused) as refused:
        async with Device(stack.gateway_urls[0], token):
            pass
    assert refused.value.data["message"]
    return str(refused.value.data["data"]["code"])


async def test_token_forged_with_the_real_key_is_accepted(stack: Stack, account: Account) -> None:
    """Proves that the refusals below are caused by the claims, not by the signature of the test."""
    async with Device(stack.gateway_urls[0], forged(stack, account.token, jti=str(uuid4()))) as device:
        assert (await device.until("ready"))["user_id"] == account.id


async def test_expired_token_is_refused_as_expired(stack: Stack, account: Account) -> None:
    past = int(time.time()) - 3600
    token = forged(stack, account.token, iat=past - 900, nbf=past - 900, exp=past)
    assert await refusal(stack, token) == "token_expired"


@pytest.mark.parametrize("claim", [{"aud": "somebody-else"}, {"iss": "somebody-else"}, {"nbf": 2**31}, {"sub": ""}])
async def test_token_with_wrong_claim_is_refused(stack: Stack, account: Account, claim: dict[str, Any]) -> None:
    assert await refusal(stack, forged(stack, account.token, **claim)) == "unauthenticated"


@pytest.mark.parametrize("token", [None, "", "x", 1, True, {"a": 1}, ["t"], "a" * 10_000, "é.é.é"])
async def test_value_that_is_no_token_is_refused(stack: Stack, token: Any) -> None:
    assert await refusal(stack, token) == "unauthenticated"


async def test_token_with_lone_surrogate_is_refused(stack: Stack) -> None:
    async with websockets.connect(websocket_url(stack)) as socket:
        await socket.send('40{"token":"\\ud800.a.b"}')
        assert json.loads((await answer(socket, "44"))[2:])["data"]["code"] == "unauthenticated"


async def test_token_with_unknown_key_or_without_signature_is_refused(stack: Stack, account: Account) -> None:
    header = jwt.get_unverified_header(account.token)
    claims = jwt.decode(account.token, options={"verify_signature": False})
    strange = Ed25519PrivateKey.generate()
    same_kid = jwt.encode(claims, strange, "EdDSA", headers={"kid": header["kid"]})
    other_kid = jwt.encode(claims, strange, "EdDSA", headers={"kid": "../../etc/passwd"})
    unsigned = jwt.encode(claims, None, "none", headers={"kid": header["kid"]})
    payload, _, signature = account.token.rpartition(".")
    truncated = f"{payload}.{signature[:-4]}"
    raised = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "admin"}).encode()).decode().rstrip("=")
    swapped = f"{account.token.split('.')[0]}.{raised}.{signature}"
    for token in (same_kid, other_kid, unsigned, truncated, swapped):
        assert await refusal(stack, token) == "unauthenticated"


OWN_SESSION = object()  # placeholder for the id of a session of the user
MALFORMED: list[tuple[str, Any]] = [
    *(
        (event, payload)
        for event in ("start_chat", "send_message", "list_chats")
        for payload in ("x", 1, [], True, [{}])
    ),
    ("send_message", None),
    ("send_message", {}),
    ("send_message", {"session_id": OWN_SESSION}),
    ("send_message", {"content": "no session"}),
    *(
        ("send_message", {"session_id": OWN_SESSION, "content": bad})
        for bad in ("", "  \n ", 1, None, ["x"], "nul\0", {})
    ),
    *(("send_message", {"session_id": bad, "content": "x"}) for bad in ("x", "", 1, None, {}, str(uuid4()) + "0")),
    *(
        ("send_message", {"session_id": OWN_SESSION, "content": "x", "client_message_id": b})
        for b in ("", "é", "x" * 129, 7)
    ),
    ("send_message", {"session_id": OWN_SESSION, "content": "x", "reply_to": "not-an-id"}),
    *(("start_chat", {"title": bad}) for bad in ("", "x" * 201, 5)),
    *(("start_chat", {"chatbot_ids": bad}) for bad in ("echo", [1], {"echo": 1})),
    ("start_chat", {"reply_policy": "sometimes"}),
    ("start_chat", {"client_request_id": "\n"}),
    *(("join_chat", {"session_id": OWN_SESSION, "after_seq": bad}) for bad in (-1, "1", 1.5, True, 2**70)),
    *(("get_messages", {"session_id": OWN_SESSION, "limit": bad}) for bad in (0, 201, "50", -1)),
    *(("list_chats", {"cursor": bad}) for bad in ("not a cursor", 5, {}, "é")),
    ("no_such_event", {}),
    ("connect", {}),
    ("disconnect", {}),
    ("message", {"content": "x"}),
]


async def test_malformed_payloads_are_answered_with_invalid_request(stack: Stack, account: Account) -> None:
    async with Device(stack.gateway_urls[0], account.token) as device:
        session = await device.start_chat()
        answers = []
        for event, payload in MALFORMED:
            if isinstance(payload, dict):
                payload = {field: session["id"] if value is OWN_SESSION else value for field, value in payload.items()}  # noqa: PLW2901
            ack = await device.call(event, payload)
            answers.append((event, payload, ack.get("error", {}).get("code")))
        assert (await device.ok("list_chatbots"))["chatbots"], "the socket has become unusable"
        assert (await device.ok("get_messages", session_id=session["id"]))["messages"] == []
    assert [answer for answer in answers if answer[2] != "invalid_request"] == []


async def test_content_with_lone_surrogate_is_answered_with_invalid_request(stack: Stack, account: Account) -> None:
    """Sent as a raw frame, since the Python client cannot encode one."""
    async with Device(stack.gateway_urls[0], account.token) as device:
        session = await device.start_chat()
    async with raw(stack, account.token) as socket:
        await socket.send(f'420["send_message",{{"session_id":"{session["id"]}","content":"\\ud800"}}]')
        assert json.loads((await answer(socket, "430"))[3:])[0]["error"]["code"] == "invalid_request"


async def test_content_above_limit_is_answered_with_payload_too_large(stack: Stack, account: Account) -> None:
    async with Device(stack.gateway_urls[0], account.token) as device:
        session = await device.start_chat(reply_policy="silent")
        longest = await device.send(session, "🦊" * 16_000)
        code = await device.error("send_message", {"session_id": session["id"], "content": "x" * 16_001})
        await device.until("message", lambda m: m["id"] == longest)
        history = await device.history(session)
    assert code == "payload_too_large"
    assert [m["content"] for m in history] == ["🦊" * 16_000]


async def test_null_equals_absent_and_unknown_fields_are_ignored(stack: Stack, account: Account) -> None:
    async with Device(stack.gateway_urls[0], account.token) as device:
        session = (await device.ok("start_chat", title=None, chatbot_ids=None, role="admin", seq=9))["session"]
        ack = await device.ok(
            "send_message", session_id=session["id"], content=" x ", reply_to=None, sender_id="eve", seq=7, id="1"
        )
        stored = await device.until("message", lambda m: m["id"] == ack["message_id"])
        assert (stored["seq"], stored["sender_id"], stored["content"]) == (1, account.id, " x ")


async def test_reply_to_of_unknown_message_is_stored_as_null(stack: Stack, account: Account) -> None:
    async with Device(stack.gateway_urls[0], account.token) as device:
        session = await device.start_chat(reply_policy="silent")
        first = await device.send(session, "first")
        answered = await device.send(session, "to the first", reply_to=first)
        nothing = await device.send(session, "to nothing", reply_to=str(uuid4()))
        await device.until("message", lambda m: m["id"] == nothing)
        history = {m["id"]: m for m in await device.history(session)}
    assert history[answered]["reply_to"] == first
    assert history[nothing]["reply_to"] is None


async def test_event_without_ack_id_is_processed(stack: Stack, account: Account) -> None:
    async with Device(stack.gateway_urls[0], account.token) as device:
        session = await device.start_chat(reply_policy="silent")
        await device.client.emit("send_message", {"session_id": session["id"], "content": "no ack, please"})
        assert (await device.until("message"))["content"] == "no ack, please"


@pytest.mark.parametrize(
    "frame", [b"\x00", "4" + "x" * (256 * 1024), '451-["send_message",{"_placeholder":true,"num":0}]']
)
async def test_binary_and_oversized_frames_close_the_connection(
    stack: Stack, account: Account, frame: str | bytes
) -> None:
    async with raw(stack, account.token) as socket:
        await socket.send(frame)
        with pytest.raises(websockets.ConnectionClosed):
            await answer(socket, "never")


@pytest.mark.parametrize(
    "frame", ["42{}", "42[]", "42", "42[1]", "42[" * 5000, "4²", '42["connect",{}]', "42[NaN]", "49"]
)
async def test_garbage_frames_do_not_affect_other_sockets(stack: Stack, account: Account, frame: str) -> None:
    async with Device(stack.gateway_urls[0], account.token) as device:
        async with raw(stack, account.token) as socket:
            await socket.send(frame)
            await socket.send('421["list_chatbots",{}]')
            with contextlib.suppress(websockets.ConnectionClosed):  # closing the socket of the sender is valid, too
                await answer(socket, "431")
        assert (await device.ok("list_chatbots"))["chatbots"]


@contextlib.asynccontextmanager
async def raw(stack: Stack, token: str) -> AsyncIterator[websockets.ClientConnection]:
    """A raw WebSocket, connected to the Socket.IO namespace `/`."""
    async with websockets.connect(websocket_url(stack)) as socket:
        await socket.send("40" + json.dumps({"token": token}))
        await answer(socket, '42["ready"')
        yield socket


def websocket_url(stack: Stack) -> str:
    return f"{stack.gateway_urls[0].replace('http', 'ws', 1)}/socket.io/?EIO=4&transport=websocket"


async def answer(socket: websockets.ClientConnection, start: str) -> str:
    """Return the next frame that begins with `start`."""
    async with asyncio.timeout(PATIENCE):
        while not (frame := str(await socket.recv())).startswith(start):
            if frame == "2":
                await socket.send("3")
    return frame

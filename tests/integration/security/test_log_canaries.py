"""No secret and no message text reaches a log (ASVS 16.2.5), searched after a run at level debug."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest
import websockets

from tests.support.client import PATIENCE, Device, Refused, new_account
from tests.support.stack import EmbeddedStack, Stack

WORDS = "canary-in-words-8d1f"
PASSCODE = "canary-in-passcode-5c7a"
WRONG = "canary-wrong-passcode-77e0"
NOISE = "canary-in-noise-41b9"


async def talk(stack: Stack) -> list[str]:
    """Everything that people do, right and wrong; the secrets that came to be on the way."""
    account = await new_account(stack.auth_url, PASSCODE)
    async with Device(stack.gateway_urls[0], account.token) as device:
        session = await device.start_chat("echo", title=WORDS)
        sent = await device.send(session, WORDS)
        reply = await device.reply_to(sent)
        invite = (await device.ok("create_invite", session_id=session["id"]))["invite"]
        rating = {"session_id": session["id"], "message_id": reply["id"], "rating": 1, "comment": WORDS}
        await device.ok("rate_reply", **rating)
        for event, payload in [
            ("edit_message", {"session_id": session["id"], "message_id": sent, "content": WORDS * 2}),
            ("search_messages", {"query": WORDS}),
            ("update_chat", {"session_id": session["id"], "title": WORDS + "2"}),
            ("send_message", {"session_id": WORDS, "content": WORDS}),
            ("accept_invite", {"invite": NOISE}),
            ("refresh_token", {"token": NOISE}),
            (NOISE, {NOISE: NOISE}),
        ]:
            await device.call(event, payload)
    await accounts(stack, account.id, account.token)
    refresh = await logins(stack, account.id)
    await noise(stack)
    return [account.token, account.token.rpartition(".")[2], invite, *refresh]


async def accounts(stack: Stack, user: str, token: str) -> None:
    """Right and wrong requests to auth."""
    async with httpx2.AsyncClient(base_url=stack.auth_url, timeout=PATIENCE) as http:
        bearer = {"Authorization": f"Bearer {token}"}
        for body in (
            {"id": user, "passcode": WRONG},
            {"id": NOISE, "passcode": NOISE},
            {"id": user, "passcode": [NOISE]},
        ):
            await http.post("/login", json=body)
        await http.post("/login", content=b'{"id": "' + NOISE.encode())
        await http.post("/refresh", json={"refresh_token": NOISE})
        await http.get("/me", headers={"Authorization": f"Bearer {token}{NOISE}"})
        await http.put("/me/passcode", headers=bearer, json={"current_passcode": WRONG, "new_passcode": NOISE})


async def logins(stack: Stack, user: str) -> list[str]:
    """Return the refresh tokens of a valid login and of one that was used twice."""
    async with httpx2.AsyncClient(base_url=stack.auth_url, timeout=PATIENCE) as http:
        first = (await http.post("/login", json={"id": user, "passcode": PASSCODE})).json()["refresh_token"]
        second = (await http.post("/refresh", json={"refresh_token": first})).json()["refresh_token"]
        await http.post("/refresh", json={"refresh_token": second})
        await http.post("/refresh", json={"refresh_token": first})
    return [first, second]


async def noise(stack: Stack) -> None:
    """Requests and frames that are none."""
    url = stack.gateway_urls[0]
    async with httpx2.AsyncClient(base_url=url, timeout=PATIENCE) as http:
        for path in (f"/{NOISE}", f"/?{NOISE}", f"/socket.io/?EIO=4&sid={NOISE}", f"/socket.io/?EIO={NOISE}"):
            await http.get(path, headers={"X-Noise": NOISE, "Cookie": NOISE, "User-Agent": NOISE})
        lines = quote("x\nERROR " + NOISE)
        await http.get(f"/socket.io/?EIO=4&transport={lines}&sid={lines}")
        await http.get("/socket.io/?EIO=4&transport=polling", headers={"Origin": f"http://{NOISE}"})
    for token in (NOISE, f"eyJ{NOISE}.{NOISE}.{NOISE}", {NOISE: NOISE}):
        with pytest.raises(Refused):
            async with Device(url, token):
                pass
    for frame in (f'42["{NOISE}"', f"42{NOISE}", f'40{{"token":"{NOISE}', NOISE, NOISE.encode(), f'451-["{NOISE}"]'):
        with contextlib.suppress(websockets.WebSocketException):
            async with websockets.connect(url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket") as ws:
                await ws.send(frame)
                await ws.send("42" + json.dumps([NOISE, NOISE]))
                await ws.close()
    _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(f"{NOISE} / {NOISE}\r\n{NOISE}\r\n\r\n".encode())
    await writer.drain()
    writer.close()


@pytest.mark.timeout(150)
async def test_no_secret_and_no_message_text_is_logged(tmp_path: Path) -> None:
    """At level debug, from the start to the end of the process."""
    stack = EmbeddedStack(tmp_path, {"LOG_LEVEL": "debug", "LOG_FORMAT": "json"})
    try:
        await stack.start()
        secrets = await talk(stack)
        await stack.stop()
    finally:
        stack.close()
    log = stack.log()
    assert log.count("\n") > 5, "there is a log to look at"
    found = [canary for canary in (WORDS, PASSCODE, WRONG, NOISE, *secrets) if canary in log]
    lines = [line for line in log.splitlines() if any(canary in line for canary in found)]
    assert lines == []
    assert "Traceback" not in log
    for line in log.splitlines():
        assert line.startswith("Backchat is running at http") or json.loads(line), "one entry a line: nobody forges one"

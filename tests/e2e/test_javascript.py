"""The main flow with the official JavaScript client, socket.io-client on Node.js."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.support.client import Account, Device
from tests.support.stack import ROOT, Stack

HERE = Path(__file__).parent / "javascript"
TEXT = "Grüße 🦊 from JavaScript, word by word"


def node() -> str:
    """The machine's Node.js, else the one that `make test` brings."""
    found = shutil.which("node") or shutil.which("node", path=ROOT / ".venv" / "node")
    assert found, "Node.js is not installed: run `make test`, which brings it"
    assert (HERE / "node_modules").exists(), "socket.io-client is not installed: run `make test`, which brings it"
    return found


def run(given: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    command = [node(), HERE / "main_flow.js"]
    return subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, timeout=50, check=False)


async def test_official_client_registers_chats_and_reconnects(stack: Stack, account: Account) -> None:
    async with Device(stack.gateway_urls[0], account.token) as device:
        await device.start_chat()  # the chatbots are known from here on
    user = f"js-{secrets.token_hex(6)}"
    given = {
        "authUrl": stack.auth_url,
        "gatewayUrls": stack.gateway_urls,
        "account": {"id": user, "passcode": secrets.token_urlsafe(16)},
        "text": TEXT,
    }
    done = await asyncio.to_thread(run, given)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["registered"] == 201
    assert seen["refused"]["data"]["code"] == "unauthenticated"
    assert (seen["ready"]["user_id"], seen["ready"]["protocol"]) == (user, 1)
    assert seen["sent"] | {"message_id": None} == {
        "ok": True,
        "message_id": None,
        "client_message_id": "1",
        "status": "accepted",
    }
    assert seen["malformed"]["error"]["code"] == seen["unknown"]["error"]["code"] == "invalid_request"
    messages = [[e["payload"] for e in device if e["name"] == "message"] for device in seen["devices"]]
    assert messages[0] == messages[1]
    assert [(m["seq"], m["sender_id"], m["content"]) for m in messages[0]] == [(1, user, TEXT), (2, "echo", TEXT)]
    for device in seen["devices"]:
        deltas = [e["payload"] for e in device if e["name"] == "message_delta"]
        assert "".join(d["text"] for d in deltas) == TEXT
        assert len(deltas) > 1
    assert [m["seq"] for m in seen["missed"]["messages"]] == [2]
    assert (seen["missed"]["last_seq"], seen["missed"]["has_more"]) == (2, False)
    assert [s["title"] for s in seen["listed"]["sessions"]] == ["From JavaScript"]

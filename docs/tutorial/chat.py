"""A chat in the terminal, in as few lines as it takes (python-socketio's own client)."""

from __future__ import annotations

import asyncio
import secrets
import sys
from typing import Any

import httpx2
import socketio

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"


async def log_in() -> tuple[str, str]:
    """Register a visitor and log in: the id and the access token."""
    account = {"id": f"visitor-{secrets.token_hex(4)}", "passcode": secrets.token_urlsafe(16)}
    async with httpx2.AsyncClient(base_url=URL) as http:
        (await http.post("/register", json=account)).raise_for_status()
        answer = (await http.post("/login", json=account)).raise_for_status().json()
    return account["id"], answer["access_token"]


async def main() -> None:
    """Read lines, print replies as they stream in."""
    user, token = await log_in()
    client = socketio.AsyncClient()
    answered = asyncio.Event()

    @client.event
    async def message_delta(delta: dict[str, Any]) -> None:
        if not delta["snapshot"]:
            prefix = f"{delta['chatbot_id']}> " if delta["offset"] == 0 else ""
            print(prefix + delta["text"], end="", flush=True)

    @client.event
    async def message(message: dict[str, Any]) -> None:
        if message["sender_type"] == "chatbot":
            print(flush=True)
            answered.set()

    await client.connect(URL, auth={"token": token})
    print(f"connected as {user}; an empty line ends it")
    session = (await client.call("start_chat", {}))["session"]
    while line := await asyncio.to_thread(input, "you> "):
        answered.clear()
        await client.call("send_message", {"session_id": session["id"], "content": line})
        await answered.wait()
    await client.disconnect()


if __name__ == "__main__":
    asyncio.run(main())

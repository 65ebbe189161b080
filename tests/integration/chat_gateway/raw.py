"""A Socket.IO client that sends text frames as they are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import websockets

from tests.integration.chat_gateway.conftest import Running


class Raw:
    """A WebSocket that speaks frames."""

    def __init__(self, ws: websockets.ClientConnection) -> None:
        self.ws = ws

    async def say(self, *frames: str | bytes) -> None:
        for frame in frames:
            await self.ws.send(frame)

    async def hear(self, prefix: str, timeout: float = 20.0) -> str:
        async with asyncio.timeout(timeout):
            while not str(frame := await self.ws.recv()).startswith(prefix):
                pass
        return str(frame)

    async def ack(self, text: str, ack_id: int) -> Any:
        await self.say(text)
        return json.loads((await self.hear(f"43{ack_id}["))[len(f"43{ack_id}") :])[0]

    async def is_closed(self, timeout: float = 20.0) -> bool:
        try:
            async with asyncio.timeout(timeout):
                while True:
                    await self.ws.recv()
        except websockets.ConnectionClosed:
            return True
        except TimeoutError:
            return False


@asynccontextmanager
async def raw(running: Running, user: str | None = "ada") -> AsyncIterator[Raw]:
    address = running.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    async with websockets.connect(address, max_size=None, compression=None) as ws:
        client = Raw(ws)
        await client.hear("0{")
        if user is not None:
            await client.say("40" + json.dumps({"token": running.issuer.token(user)}))
            await client.hear('42["ready"')
        yield client

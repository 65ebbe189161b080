"""Baseline `bare`: python-socketio on uvicorn as their documentation starts one; an ack and one event, no more.

`python -m benchmarks.servers.bare PORT`
"""

from __future__ import annotations

import sys
from itertools import count
from typing import Any

import socketio
import uvicorn


def main(port: int) -> None:
    """Serve until killed."""
    server = socketio.AsyncServer(async_mode="asgi")
    numbers = count(1)

    @server.event  # type: ignore[untyped-decorator]
    async def start_chat(_sid: str, _payload: dict[str, Any]) -> dict[str, Any]:
        return {"ok": True, "session": {"id": f"session-{next(numbers)}"}}

    @server.event  # type: ignore[untyped-decorator]
    async def send_message(sid: str, payload: dict[str, Any]) -> dict[str, Any]:
        message_id = f"message-{next(numbers)}"
        reply = {
            "id": f"message-{next(numbers)}",
            "session_id": payload["session_id"],
            "sender_type": "chatbot",
            "content": payload["content"],
            "reply_to": message_id,
        }
        await server.emit("message", reply, to=sid)
        return {"ok": True, "message_id": message_id}

    uvicorn.run(socketio.ASGIApp(server), port=port, log_level="warning")


if __name__ == "__main__":
    main(int(sys.argv[1]))

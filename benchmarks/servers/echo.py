"""The generator's ceiling: picows and hand-written frames, answering a turn with as many frames as Backchat does.

`python -m benchmarks.servers.echo PORT`
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count

import orjson
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

OPEN = b'0{"sid":"ceiling","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'
MESSAGE = (
    b'42["message",{"id":"m%d","session_id":"%b","seq":%d,"updated_seq":%d,"sender_type":"%b","sender_id":"ceiling",'
)
MESSAGE += b'"content":"%b","client_message_id":"%b","reply_to":"m%d","status":"complete"}]'


class Echo(WSListener):
    """One connection: an ack, the stored message, the reply."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers = count(1)
        self._last: dict[bytes, int] = {}

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Open Engine.IO."""
        transport.send(WSMsgType.TEXT, OPEN)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Answer one frame."""
        data = frame.get_payload_as_bytes()
        if data.startswith(b"40"):
            transport.send(WSMsgType.TEXT, b'40{"sid":"ceiling"}')
        elif data.startswith(b"42"):
            start = data.index(b"[")
            name, payload = orjson.loads(data[start:])
            if name == "start_chat":
                session = b"%d-%d" % (id(self), next(self._numbers))
                transport.send(WSMsgType.TEXT, b'43%b[{"ok":true,"session":{"id":"%b"}}]' % (data[2:start], session))
            else:
                self._turn(transport, data[2:start], payload)

    def _turn(self, transport: WSTransport, ack_id: bytes, payload: dict[str, str]) -> None:
        session, content = payload["session_id"].encode(), payload["content"].encode()
        client_id = payload["client_message_id"].encode()
        seq = self._last.get(session, 0)
        self._last[session] = seq + 2
        asked, replied = next(self._numbers), next(self._numbers)
        transport.send(WSMsgType.TEXT, b'43%b[{"ok":true,"message_id":"m%d"}]' % (ack_id, asked))
        for number, place, sender in ((asked, seq + 1, b"user"), (replied, seq + 2, b"chatbot")):
            message = MESSAGE % (number, session, place, place, sender, content, client_id, asked)
            transport.send(WSMsgType.TEXT, message)


async def main(port: int) -> None:
    """Serve until killed."""
    server = await ws_create_server(lambda _request: Echo(), "127.0.0.1", port)
    async with server:
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))

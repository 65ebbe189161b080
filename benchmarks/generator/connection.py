"""A Socket.IO connection on picows. It uses callbacks only, without a task or future for each turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.generator import protocol
from benchmarks.generator.lane import Lane, Turn

CALL_TIMEOUT = 30.0  # seconds for what is not measured: connecting, starting a chat, reading history


class Refused(RuntimeError):
    """The server refused a connection or a request that the benchmark needs."""


class Connection(WSListener):
    """A connected client and its lanes. `on_turn` is called with every ended turn."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes: dict[str, Lane] = {}
        self.deltas = 0
        self.on_turn: Callable[[Connection, Lane, Turn], None] = lambda _connection, _lane, _turn: None
        self.lost_connection = False
        self._transport: WSTransport | None = None
        self._auth: dict[str, Any] = {}
        self._connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._calls: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._turns: dict[int, Lane] = {}
        self._ack_id = 0

    @classmethod
    async def open(cls, url: str, auth: dict[str, Any]) -> Connection:
        """Connect to the server at `url` (http) and to its default namespace."""
        connection = cls()
        connection._auth = auth
        address = url.replace("http", "ws", 1) + protocol.WEBSOCKET_PATH
        await ws_connect(lambda: connection, address)
        await asyncio.wait_for(connection._connected, CALL_TIMEOUT)
        return connection

    async def call(self, name: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Send an event and wait for its ack.

        Raises:
            Refused: the ack says that it was not done.
            TimeoutError: no ack came.
        """
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._ack_id += 1
        self._calls[self._ack_id] = answer
        self._send(protocol.event(name, payload, self._ack_id))
        result = await asyncio.wait_for(answer, CALL_TIMEOUT)
        if not result.get("ok"):
            raise Refused(f"{name}: {result.get('error')}")
        return result

    def send_turn(self, lane: Lane, due: float, content: str) -> None:
        """Begin a turn in the lane."""
        turn = lane.begin(due)
        self._ack_id += 1
        self._turns[self._ack_id] = lane
        payload = {
            "session_id": lane.session_id,
            "content": content,
            "client_message_id": turn.client_message_id,
        }
        self._send(protocol.event("send_message", payload, self._ack_id))

    def close(self) -> None:
        """Close the connection."""
        if self._transport:
            self._transport.disconnect()

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Store the transport."""
        self._transport = transport

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - picows' signature
        """Fail the pending calls."""
        self.lost_connection = True
        futures: list[asyncio.Future[Any]] = [self._connected, *self._calls.values()]
        for future in futures:
            if not future.done():
                future.set_exception(Refused("the connection was closed"))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Handle one frame."""
        if frame.msg_type != WSMsgType.TEXT:
            if frame.msg_type == WSMsgType.CLOSE:
                transport.disconnect()
            return
        data = frame.get_payload_as_bytes()
        if data[0] == protocol.MESSAGE:
            if data[1] == protocol.EVENT:
                self._take_event(*protocol.read_event(data))
            elif data[1] == protocol.ACK:
                self._take_ack(*protocol.read_ack(data))
            else:
                self._take_connection(data)
        elif data[0] == protocol.PING:
            self._send(protocol.PONG_FRAME)
        elif data[0] == protocol.OPEN:
            self._send(protocol.connect(self._auth))

    def _take_event(self, name: str, payload: dict[str, Any]) -> None:
        if name == "message_delta":
            self.deltas += 1
        elif name == "message":
            lane = self.lanes.get(payload["session_id"])
            if lane and (turn := lane.take_message(payload, monotonic())):
                self.on_turn(self, lane, turn)
        elif name == "session_updated" and payload["id"] in self.lanes:
            lane = self.lanes[payload["id"]]
            if payload["seq"] > 0:  # 0: as created
                lane.take_change(payload["seq"])

    def _take_ack(self, ack_id: int, answer: dict[str, Any]) -> None:
        if lane := self._turns.pop(ack_id, None):
            if turn := lane.take_ack(answer, monotonic()):
                self.on_turn(self, lane, turn)
        elif waiting := self._calls.pop(ack_id, None):
            waiting.set_result(answer)

    def _take_connection(self, data: bytes) -> None:
        if self._connected.done():
            return
        if data[1] == protocol.CONNECTED:
            self._connected.set_result(None)
        else:
            self._connected.set_exception(Refused(data.decode()))

    def _send(self, frame: bytes) -> None:
        assert self._transport
        self._transport.send(WSMsgType.TEXT, frame)

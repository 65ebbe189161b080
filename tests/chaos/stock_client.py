"""A simulated user with stock Socket.IO clients that sends bursts without waiting for acks.

A message with an unknown outcome is sent again under the same id. After a connection loss the device reconnects through
another gateway and resumes by cursor. Nothing received is filtered: errors of the server are recorded as they arrive.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from tests.chaos.connection import Outgoing, Socket
from tests.chaos.job import Job, User
from tests.chaos.simulated_client import START, SimulatedClient
from tests.support.waiting import pause

RETRY = (0.2, 1.0)  # seconds between attempts to connect, join or send, drawn at random
ROAM = 60.0  # mean seconds after which a device moves to another gateway, as after a change of network


class StockClient(SimulatedClient):
    """One session, an outbox, and one or two devices."""

    def __init__(self, user: User, number: int, job: Job) -> None:
        super().__init__(user, job)
        self.wake = asyncio.Event()
        self._outbox: dict[str, Outgoing] = {}
        first = number // 2 % len(job.gateways)
        self._devices = [
            Device(self, chr(ord("a") + n), user.token, job.gateways[first + n :] + job.gateways[: first + n])
            for n in range(user.devices)
        ]

    @property
    def pending(self) -> int:
        return len(self._outbox)

    @property
    def connected(self) -> bool:
        return self._devices[0].connected

    async def chat(self, draining: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.write(draining))
            for device in self._devices:
                tasks.create_task(device.run())
            while True:
                self.wake.clear()
                for message in list(self._outbox.values()):
                    if not message.in_flight and message.due <= time.monotonic():
                        await self._devices[0].send(message)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.wake.wait(), 0.25)

    async def put(self, key: str, content: str) -> None:
        self._outbox[key] = Outgoing(key, content)
        self.wake.set()

    def acknowledge(self, key: str, message_id: str) -> None:
        """Remove a message from the outbox after its positive ack."""
        if self._outbox.pop(key, None) is not None:
            self.accepted(message_id)

    def finish(self) -> None:
        for device in self._devices:
            device.finish()


class Device:
    """One device: reconnects through the next gateway after every connection loss."""

    def __init__(self, client: StockClient, letter: str, token: str, gateways: list[tuple[str, str]]) -> None:
        self._owner = client
        self._letter = letter
        self._token = token
        self._gateways = gateways
        self._cursor = 0
        self._connections = 0
        self._socket: Socket | None = None
        self._joined = False

    @property
    def connected(self) -> bool:
        """Whether it can send."""
        return self._joined and self._socket is not None

    async def run(self) -> None:
        """Stay connected until cancelled."""
        turn = 0
        while True:
            name, url = self._gateways[turn % len(self._gateways)]
            self._connections += 1
            socket = Socket(f"{self._owner.id}{self._letter}{self._connections}", self)
            if await socket.connect(url, self._token):
                self._record("opened", socket, gateway=name)
                self._socket = socket
                if await self._join(socket):
                    self._joined = True
                    self._owner.wake.set()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(socket.gone.wait(), self._owner.random.expovariate(1 / ROAM))
                self._lost(socket, final=False)
            turn += 1
            await self._back_off()

    async def _join(self, socket: Socket) -> bool:
        """Join the session from the cursor on; the first device creates it. Returns False if the socket is gone."""
        while not socket.gone.is_set():
            session = self._owner.session
            if session is None and self._letter == "a":
                ack = await socket.call("start_chat", START, self._started)
                if ack and ack["session"]["last_seq"] == 0:
                    return True
            elif session is not None:
                asked = {"session_id": session, "after_seq": self._cursor, "limit": 200}
                ack = await socket.call("join_chat", asked, self._page)
                if ack and not ack["has_more"]:
                    return True
            else:
                ack = None
            if ack is None:
                await self._back_off()
        return False

    def _started(self, socket: Socket, ack: dict[str, Any]) -> None:
        self._owner.session = ack["session"]["id"]
        if ack["session"]["last_seq"] == 0:
            self._record("created", socket)

    def _page(self, socket: Socket, ack: dict[str, Any]) -> None:
        names = ("last_seq", "messages", "has_more", "active_replies")
        self._record("joined", socket, after=self._cursor, **{name: ack[name] for name in names})
        self._cursor = ack["last_seq"]
        for message in ack["messages"]:
            self._owner.stored(message)

    async def send(self, message: Outgoing) -> None:
        """Send one message if this device is connected; `answer` handles the ack."""
        socket = self._socket
        if not self.connected or socket is None or socket.gone.is_set():
            return
        message.in_flight = True
        self._record("sent", socket, key=message.key, content=message.content)
        self._owner.log.flush()
        payload = {"session_id": self._owner.session, "content": message.content, "client_message_id": message.key}
        await socket.send("send_message", payload, message)

    def answer(self, socket: Socket, message: Outgoing, ack: dict[str, Any] | None) -> None:
        """Record an ack, or its absence."""
        message.in_flight = False
        message.due = time.monotonic() + self._owner.random.uniform(*RETRY)
        if ack is None:
            self._record("unanswered", socket, key=message.key)
        elif ack["ok"]:
            self._record("acked", socket, key=message.key, message_id=ack["message_id"])
            self._owner.acknowledge(message.key, ack["message_id"])
        else:
            self._record("refused", socket, key=message.key, code=ack["error"]["code"])
            message.due += ack["error"].get("retry_after", 0)

    def event(self, socket: Socket, name: str, payload: dict[str, Any]) -> None:
        """Record a server event of the session."""
        session = payload["id"] if name == "session_updated" else payload["session_id"]
        if session != self._owner.session:
            return
        if name in ("message", "message_updated"):
            self._record(name, socket, message=payload)
            self._cursor = max(self._cursor, payload["updated_seq"])
            self._owner.stored(payload)
        elif name == "session_updated":
            self._record(name, socket, seq=payload["seq"])
            self._cursor = max(self._cursor, payload["seq"])
        elif name == "message_delta":
            self._record("delta", socket, delta=payload)
        else:
            self._record("rejected", socket, message_id=payload["message_id"], code=payload["code"])

    def finish(self) -> None:
        """Record the end of the run for an open connection."""
        if self._socket:
            self._lost(self._socket, final=self._joined)

    def _lost(self, socket: Socket, *, final: bool) -> None:
        self._joined = False
        self._socket = None
        socket.abandon()
        self._record("closed", socket, final=final)

    def _record(self, what: str, socket: Socket, **fields: Any) -> None:
        self._owner.log.record(what, socket=socket.name, session=self._owner.session, **fields)

    async def _back_off(self) -> None:
        await pause(self._owner.random.uniform(*RETRY), "the client's delay before it tries again")

"""A person with stock Socket.IO clients, who sends bursts without waiting for acks.

What is unknown is sent again under the same id; after every loss the device comes back over another gateway by the
cursor. Nothing here forgives: what the server does wrong goes into the ledger as it came.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from tests.chaos.author import START, Author
from tests.chaos.connection import Outgoing, Socket
from tests.chaos.job import Job, Person

RETRY = (0.2, 1.0)  # seconds between tries to connect, to join, to send again; at random in this range
ROAM = 60.0  # mean seconds on one connection, then the device goes over to another gateway by itself


class StockClient(Author):
    """An outbox, a session, devices."""

    def __init__(self, person: Person, number: int, job: Job) -> None:
        super().__init__(person, job)
        self.wake = asyncio.Event()
        self._outbox: dict[str, Outgoing] = {}
        first = number // 2 % len(job.gateways)
        self._devices = [
            Device(self, chr(ord("a") + n), person.token, job.gateways[first + n :] + job.gateways[: first + n])
            for n in range(person.devices)
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
                tasks.create_task(device.stay())
            while True:
                self.wake.clear()
                for message in list(self._outbox.values()):
                    if not message.on_its_way and message.due <= time.monotonic():
                        await self._devices[0].send(message)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.wake.wait(), 0.25)

    async def put(self, key: str, content: str) -> None:
        self._outbox[key] = Outgoing(key, content)
        self.wake.set()

    def settle(self, key: str, message_id: str) -> None:
        """An ack said yes."""
        if self._outbox.pop(key, None) is not None:
            self.accepted(message_id)

    def finish(self) -> None:
        for device in self._devices:
            device.finish()


class Device:
    """One device of a person: connected as long as it can be, over whatever gateway answers."""

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

    async def stay(self) -> None:
        """Connect and come back, for ever."""
        turn = 0
        while True:
            name, url = self._gateways[turn % len(self._gateways)]
            self._connections += 1
            socket = Socket(f"{self._owner.id}{self._letter}{self._connections}", self)
            if await socket.connect(url, self._token):
                self._note("opened", socket, gateway=name)
                self._socket = socket
                if await self._join(socket):
                    self._joined = True
                    self._owner.wake.set()
                    with contextlib.suppress(TimeoutError):  # people change networks now and then
                        await asyncio.wait_for(socket.gone.wait(), self._owner.random.expovariate(1 / ROAM))
                self._lost(socket, final=False)
            turn += 1
            await self._breathe()

    async def _join(self, socket: Socket) -> bool:
        """Join the session where this device left off; the first device makes it. False: the socket is gone."""
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
                await self._breathe()
        return False

    def _started(self, socket: Socket, ack: dict[str, Any]) -> None:
        self._owner.session = ack["session"]["id"]
        if ack["session"]["last_seq"] == 0:
            self._note("created", socket)

    def _page(self, socket: Socket, ack: dict[str, Any]) -> None:
        names = ("last_seq", "messages", "has_more", "active_replies")
        self._note("joined", socket, after=self._cursor, **{name: ack[name] for name in names})
        self._cursor = ack["last_seq"]
        for message in ack["messages"]:
            self._owner.stored(message)

    async def send(self, message: Outgoing) -> None:
        """Send one message now if this device can; its ack is taken care of later."""
        socket = self._socket
        if not self.connected or socket is None or socket.gone.is_set():
            return
        message.on_its_way = True
        self._note("sent", socket, key=message.key, content=message.content)
        self._owner.ledger.flush()
        payload = {"session_id": self._owner.session, "content": message.content, "client_message_id": message.key}
        await socket.send("send_message", payload, message)

    def answer(self, socket: Socket, message: Outgoing, ack: dict[str, Any] | None) -> None:
        """An ack came, or did not."""
        message.on_its_way = False
        message.due = time.monotonic() + self._owner.random.uniform(*RETRY)
        if ack is None:
            self._note("unanswered", socket, key=message.key)
        elif ack["ok"]:
            self._note("acked", socket, key=message.key, message_id=ack["message_id"])
            self._owner.settle(message.key, ack["message_id"])
        else:
            self._note("refused", socket, key=message.key, code=ack["error"]["code"])
            message.due += ack["error"].get("retry_after", 0)

    def event(self, socket: Socket, name: str, payload: dict[str, Any]) -> None:
        """A server event came."""
        session = payload["id"] if name == "session_updated" else payload["session_id"]
        if session != self._owner.session:
            return
        if name in ("message", "message_updated"):
            self._note(name, socket, message=payload)
            self._cursor = max(self._cursor, payload["updated_seq"])
            self._owner.stored(payload)
        elif name == "session_updated":
            self._note(name, socket, seq=payload["seq"])
            self._cursor = max(self._cursor, payload["seq"])
        elif name == "message_delta":
            self._note("delta", socket, delta=payload)
        else:
            self._note("rejected", socket, message_id=payload["message_id"], code=payload["code"])

    def finish(self) -> None:
        """The run is over."""
        if self._socket:
            self._lost(self._socket, final=self._joined)

    def _lost(self, socket: Socket, *, final: bool) -> None:
        self._joined = False
        self._socket = None
        socket.abandon()
        self._note("closed", socket, final=final)

    def _note(self, what: str, socket: Socket, **fields: Any) -> None:
        self._owner.ledger.note(what, socket=socket.name, session=self._owner.session, **fields)

    async def _breathe(self) -> None:
        await asyncio.sleep(self._owner.random.uniform(*RETRY))

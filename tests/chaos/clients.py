"""One process full of people who chat: stock Socket.IO clients that write a ledger.

`python -m tests.chaos.clients` reads a `Job` as the first line of its standard input, then `drain` (send nothing
new, settle what is open) and `end`; it prints a `Status` twice a second. A person sends bursts without waiting for
acks, sends again under the same id what is unknown, and comes back over another gateway by the cursor. Nothing
here forgives: what the server does wrong goes into the ledger as it came.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import time
from typing import Any

from tests.chaos.connection import Outgoing, Socket
from tests.chaos.job import Job, Person, Status
from tests.chaos.ledger import Ledger

RETRY = (0.2, 1.0)  # seconds between tries to connect, to join, to send again; at random in this range
ROAM = 60.0  # mean seconds on one connection, then the device goes over to another gateway by itself
BURST = (1, 1, 1, 2, 3)  # messages sent at once, at random out of these
WORDS = 7  # of a message, besides its number: so many pieces has the echo's reply
OUTBOX_MAX = 20  # unsettled messages over which a person writes no more


class Client:
    """One person: an outbox, a session, devices."""

    def __init__(self, person: Person, number: int, job: Job) -> None:
        self.id = person.id
        self.random = random.Random(f"{job.seed}/{person.id}")
        self.ledger = Ledger(job.directory / f"{person.id}.jsonl")
        self.outbox: dict[str, Outgoing] = {}
        self.session: str | None = None
        self.sent = self.acked = 0
        self.unseen: set[str] = set()  # message ids accepted, not yet seen stored
        self.asked = 0  # highest number of a stored message of ours
        self.answered = 0  # highest number of one that a reply names
        self.numbers: dict[str, int] = {}
        self.wake = asyncio.Event()
        first = number % len(job.gateways)
        self.devices = [
            Device(self, chr(ord("a") + n), person.token, job.gateways[first + n :] + job.gateways[: first + n])
            for n in range(person.devices)
        ]
        self._pause = job.pause

    @property
    def settled(self) -> bool:
        """Whether everything accepted has been seen stored and answered."""
        return not self.unseen and self.answered >= self.asked

    async def chat(self, draining: asyncio.Event) -> None:
        """Write bursts until told to drain, and keep sending until all of it is settled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._write(draining))
            while True:
                self.wake.clear()
                for message in list(self.outbox.values()):
                    if not message.on_its_way and message.due <= time.monotonic():
                        await self.devices[0].send(message)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.wake.wait(), 0.25)

    async def _write(self, draining: asyncio.Event) -> None:
        await asyncio.sleep(self.random.uniform(0, self._pause))
        while not draining.is_set():
            if self.session and len(self.outbox) < OUTBOX_MAX:
                for _ in range(self.random.choice(BURST)):
                    self.sent += 1
                    words = " ".join(f"{self.random.randrange(10_000)}" for _ in range(WORDS))
                    key = f"k{self.sent}"
                    self.outbox[key] = Outgoing(key, f"{self.id}/{self.sent} {words}")
                self.wake.set()
            await asyncio.sleep(self.random.expovariate(1 / self._pause))

    def accepted(self, key: str, message_id: str) -> None:
        """An ack said yes."""
        if self.outbox.pop(key, None) is not None:
            self.acked += 1
            if message_id not in self.numbers:
                self.unseen.add(message_id)

    def stored(self, message: dict[str, Any]) -> None:
        """A stored message was seen, live or in the answer to a join."""
        self.unseen.discard(message["id"])
        self.numbers[message["id"]] = message["seq"]
        if message["sender_type"] == "user":
            self.asked = max(self.asked, message["seq"])
        elif message["reply_to"]:
            self.answered = max(self.answered, self.numbers.get(message["reply_to"], 0))


class Device:
    """One device of a person: connected as long as it can be, over whatever gateway answers."""

    def __init__(self, client: Client, letter: str, token: str, gateways: list[tuple[str, str]]) -> None:
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
                asked: dict[str, Any] = {"title": "Chaos", "chatbot_ids": ["echo"], "client_request_id": "first"}
                ack = await socket.call("start_chat", asked, self._started)
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
            self._owner.accepted(message.key, ack["message_id"])
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


async def _commands() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def _status(clients: list[Client]) -> Status:
    return Status(
        sessions=sum(client.session is not None for client in clients),
        connected=sum(client.devices[0].connected for client in clients),
        sent=sum(client.sent for client in clients),
        acked=sum(client.acked for client in clients),
        pending=sum(len(client.outbox) for client in clients),
        unseen=sum(not client.settled for client in clients),
    )


async def _tell(clients: list[Client]) -> None:
    while True:
        sys.stdout.write(_status(clients).model_dump_json() + "\n")
        sys.stdout.flush()
        for client in clients:
            client.ledger.flush()
        await asyncio.sleep(0.5)


async def run() -> None:
    """Chat as the commands say."""
    commands = await _commands()
    job = Job.model_validate_json(await commands.readline())
    clients = [Client(person, number, job) for number, person in enumerate(job.people)]
    draining = asyncio.Event()
    work = [device.stay() for client in clients for device in client.devices]
    work += [client.chat(draining) for client in clients]
    tasks = [asyncio.create_task(coroutine) for coroutine in [*work, _tell(clients)]]
    while (await commands.readline()).strip() == b"drain":
        draining.set()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    died = [task for task in tasks if not task.cancelled()]
    for client in clients:
        for device in client.devices:
            device.finish()
        client.ledger.close()
    for task in died:
        task.result()


if __name__ == "__main__":
    asyncio.run(run())

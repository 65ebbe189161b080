"""A simulated user with the client kit of this repository; everything sent and received is recorded."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import backchat_client.transport.link
from backchat_client import BackchatClient, BackchatClientError, Notice
from backchat_client.transport.connection import Answered, Connection
from tests.chaos.job import Job, User
from tests.chaos.simulated_client import START, SimulatedClient


class KitClient(SimulatedClient):
    """One session, with one kit per device; the first device sends."""

    def __init__(self, user: User, number: int, job: Job) -> None:
        super().__init__(user, job)
        self._token = user.token
        self._gateways = {url: name for name, url in job.gateways}
        self._recorders = [Recorder(self, chr(ord("a") + n), self._gateways) for n in range(user.devices)]
        self._first = number // 2 % len(job.gateways)
        self._kits: list[BackchatClient] = []
        self._started = asyncio.Event()
        self._pending: set[str] = set()

    @property
    def pending(self) -> int:
        return len(self._pending)

    @property
    def connected(self) -> bool:
        return bool(self._kits) and self._kits[0].gateway is not None

    async def chat(self, draining: asyncio.Event) -> None:
        urls = list(self._gateways)
        async with asyncio.TaskGroup() as tasks:
            for n, recorder in enumerate(self._recorders):
                turned = urls[(self._first + n) % len(urls) :] + urls[: (self._first + n) % len(urls)]
                kit = BackchatClient(
                    auth_url=turned[0], gateway_urls=turned, token=self._access, random=self.random.random
                )
                self._kits.append(kit)
                kit.listen(recorder.notified)
                tasks.create_task(self._hold(kit, recorder))
            tasks.create_task(self.write(draining))

    async def put(self, key: str, content: str) -> None:
        assert self.session
        self._pending.add(key)
        await self._kits[0].send(self.session, content, client_message_id=key)

    def acknowledge(self, key: str, message_id: str) -> None:
        """Count a message that the kit reports as accepted."""
        if key in self._pending:
            self._pending.discard(key)
            self.accepted(message_id)

    def finish(self) -> None:
        for kit, recorder in zip(self._kits, self._recorders, strict=True):
            held = kit.sessions.get(self.session or "")
            if held and kit is self._kits[0]:
                recorder.record("held", messages=held.messages)
            recorder.finish()

    def start(self, session: str) -> None:
        """Note the session that the first device created."""
        self.session = session
        self._started.set()

    async def _access(self, *, renew: bool) -> str:
        return self._token

    async def _hold(self, kit: BackchatClient, recorder: Recorder) -> None:
        RECORDER.set(recorder)  # inherited by the task that makes the connections
        async with kit:
            while not self.session and recorder.letter == "a":
                with contextlib.suppress(BackchatClientError, TimeoutError):
                    await kit.start_chat(**START)
            await self._started.wait()
            if recorder.letter != "a":
                while self.session not in kit.sessions:
                    with contextlib.suppress(BackchatClientError, TimeoutError):
                        await kit.open(self.session or "")
            await asyncio.Event().wait()


class Recorder:
    """Records what one kit sends and receives, over all its connections."""

    def __init__(self, client: KitClient, letter: str, gateways: dict[str, str]) -> None:
        self.letter = letter
        self._client = client
        self._gateways = gateways
        self._connections = 0
        self._socket = ""
        self._open = False
        self._in_flight: set[str] = set()

    def record(self, what: str, **fields: Any) -> None:
        self._client.log.record(what, socket=self._socket, session=self._client.session, **fields)

    def opened(self, url: str) -> None:
        self._connections += 1
        self._socket = f"{self._client.id}{self.letter}{self._connections}"
        self._open = True
        self.record("opened", gateway=self._gateways[url])

    def lost(self, *, final: bool = False) -> None:
        if self._open:
            self._open = False
            for key in self._in_flight:
                self.record("unanswered", key=key)
            self._in_flight.clear()
            self.record("closed", final=final)

    def finish(self) -> None:
        self.lost(final=True)

    def asked(self, event: str, payload: dict[str, Any]) -> None:
        if event == "send_message":
            key = payload["client_message_id"]
            self.record("sent", key=key, content=payload["content"])
            self._client.log.flush()
            self._in_flight.add(key)

    def answered(self, event: str, payload: dict[str, Any], answer: dict[str, Any] | None) -> None:
        if event == "send_message" and (key := payload["client_message_id"]) in self._in_flight:
            self._in_flight.discard(key)
            if answer is None:
                self.record("unanswered", key=key)
            elif answer["ok"]:
                self.record("acked", key=key, message_id=answer["message_id"])
            else:
                self.record("refused", key=key, code=answer["error"]["code"])
        elif answer is None or not answer["ok"]:
            return
        elif event == "start_chat":
            self._client.start(answer["session"]["id"])
            if answer["session"]["last_seq"] == 0:
                self.record("created")
        elif event == "join_chat":
            names = ("last_seq", "messages", "has_more", "active_replies")
            self.record("joined", after=payload.get("after_seq"), **{name: answer[name] for name in names})
            for message in answer["messages"]:
                self._client.stored(message)

    def event(self, name: str, payload: dict[str, Any]) -> None:
        session = payload.get("id") if name == "session_updated" else payload.get("session_id")
        if session is None or session != self._client.session:
            return
        if name in ("message", "message_updated"):
            self.record(name, message=payload)
            self._client.stored(payload)
        elif name == "session_updated":
            self.record(name, seq=payload["seq"])
        elif name == "message_delta":
            self.record("delta", delta=payload)
        elif name == "message_rejected":
            self.record("rejected", message_id=payload["message_id"], code=payload["code"])

    def notified(self, notice: Notice) -> None:
        """Record a notice of the kit to its program."""
        if notice.name == "accepted" and self.letter == "a":
            self._client.acknowledge(notice.payload["client_message_id"], notice.payload["message_id"])
        elif notice.name == "message":
            self.record("shown", seq=notice.payload["seq"], device=self.letter)


RECORDER: ContextVar[Recorder] = ContextVar("recorder")


class RecordedConnection(Connection):
    """Connection of the kit that passes everything to the recorder first."""

    def __init__(
        self, url: str, *, on_event: Callable[[str, Any], None], on_lost: Callable[[Connection], None]
    ) -> None:
        self._recorder = RECORDER.get()

        def arrived(name: str, payload: Any) -> None:
            self._recorder.event(name, payload)
            on_event(name, payload)

        super().__init__(url, on_event=arrived, on_lost=on_lost)
        self._up = False

    async def open(self, token: str) -> Any:
        ready = await super().open(token)
        self._up = True
        self._recorder.opened(self.url)
        return ready

    def emit(self, event: str, payload: Any, answered: Answered) -> None:
        def answer(ack: Any) -> None:
            self._recorder.answered(event, payload, ack)
            answered(ack)

        if self._up:
            self._recorder.asked(event, payload)
        super().emit(event, payload, answer)

    def drop(self) -> None:
        if self._up:
            self._up = False
            self._recorder.lost()
        super().drop()


setattr(backchat_client.transport.link, "Connection", RecordedConnection)  # noqa: B010 - the kit has no public hook for this

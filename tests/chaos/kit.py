"""A person with the project's own client kit, tapped at its connection: what it sends and gets goes into the ledger."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import backchat_client.link
from backchat_client import BackchatClient, BackchatClientError, Notice
from backchat_client.connection import Answered, Connection
from tests.chaos.author import START, Author
from tests.chaos.job import Job, Person


class KitClient(Author):
    """One session held by one kit a device; the first one writes."""

    def __init__(self, person: Person, number: int, job: Job) -> None:
        super().__init__(person, job)
        self._token = person.token
        self._gateways = {url: name for name, url in job.gateways}
        self._taps = [Tap(self, chr(ord("a") + n), self._gateways) for n in range(person.devices)]
        self._first = number // 2 % len(job.gateways)
        self._kits: list[BackchatClient] = []
        self._unsettled: set[str] = set()

    @property
    def pending(self) -> int:
        return len(self._unsettled)

    @property
    def connected(self) -> bool:
        return bool(self._kits) and self._kits[0].gateway is not None

    async def chat(self, draining: asyncio.Event) -> None:
        urls = list(self._gateways)
        async with asyncio.TaskGroup() as tasks:
            for n, tap in enumerate(self._taps):
                turned = urls[(self._first + n) % len(urls) :] + urls[: (self._first + n) % len(urls)]
                kit = BackchatClient(
                    auth_url=turned[0], gateway_urls=turned, token=self._access, random=self.random.random
                )
                self._kits.append(kit)
                kit.listen(tap.told)
                tasks.create_task(self._hold(kit, tap))
            tasks.create_task(self.write(draining))

    async def put(self, key: str, content: str) -> None:
        assert self.session
        self._unsettled.add(key)
        await self._kits[0].send(self.session, content, client_message_id=key)

    def settle(self, key: str, message_id: str) -> None:
        """The kit says that a message is accepted."""
        if key in self._unsettled:
            self._unsettled.discard(key)
            self.accepted(message_id)

    def finish(self) -> None:
        for kit, tap in zip(self._kits, self._taps, strict=True):
            held = kit.sessions.get(self.session or "")
            if held and kit is self._kits[0]:
                tap.note("held", messages=held.messages)
            tap.finish()

    async def _access(self, *, renew: bool) -> str:
        return self._token

    async def _hold(self, kit: BackchatClient, tap: Tap) -> None:
        TAP.set(tap)  # its connections are made in a task that inherits this
        async with kit:
            while not self.session and tap.letter == "a":
                with contextlib.suppress(BackchatClientError, TimeoutError):
                    await kit.start_chat(**START)
            while not self.session:  # noqa: ASYNC110 - the first device is about to make it
                await asyncio.sleep(0.1)
            if tap.letter != "a":
                while self.session not in kit.sessions:
                    with contextlib.suppress(BackchatClientError, TimeoutError):
                        await kit.open(self.session)
            await asyncio.Event().wait()


class Tap:
    """Writes down what one kit sends and gets, over all its connections."""

    def __init__(self, client: KitClient, letter: str, gateways: dict[str, str]) -> None:
        self.letter = letter
        self._client = client
        self._gateways = gateways
        self._connections = 0
        self._socket = ""
        self._open = False
        self._on_their_way: set[str] = set()

    def note(self, what: str, **fields: Any) -> None:
        self._client.ledger.note(what, socket=self._socket, session=self._client.session, **fields)

    def opened(self, url: str) -> None:
        self._connections += 1
        self._socket = f"{self._client.id}{self.letter}{self._connections}"
        self._open = True
        self.note("opened", gateway=self._gateways[url])

    def lost(self, *, final: bool = False) -> None:
        if self._open:
            self._open = False
            for key in self._on_their_way:
                self.note("unanswered", key=key)
            self._on_their_way.clear()
            self.note("closed", final=final)

    def finish(self) -> None:
        self.lost(final=True)

    def asked(self, event: str, payload: dict[str, Any]) -> None:
        if event == "send_message":
            key = payload["client_message_id"]
            self.note("sent", key=key, content=payload["content"])
            self._client.ledger.flush()
            self._on_their_way.add(key)

    def answered(self, event: str, payload: dict[str, Any], answer: dict[str, Any] | None) -> None:
        if event == "send_message" and (key := payload["client_message_id"]) in self._on_their_way:
            self._on_their_way.discard(key)
            if answer is None:
                self.note("unanswered", key=key)
            elif answer["ok"]:
                self.note("acked", key=key, message_id=answer["message_id"])
            else:
                self.note("refused", key=key, code=answer["error"]["code"])
        elif answer is None or not answer["ok"]:
            return
        elif event == "start_chat":
            self._client.session = answer["session"]["id"]
            if answer["session"]["last_seq"] == 0:
                self.note("created")
        elif event == "join_chat":
            names = ("last_seq", "messages", "has_more", "active_replies")
            self.note("joined", after=payload.get("after_seq"), **{name: answer[name] for name in names})
            for message in answer["messages"]:
                self._client.stored(message)

    def event(self, name: str, payload: dict[str, Any]) -> None:
        session = payload.get("id") if name == "session_updated" else payload.get("session_id")
        if session is None or session != self._client.session:
            return
        if name in ("message", "message_updated"):
            self.note(name, message=payload)
            self._client.stored(payload)
        elif name == "session_updated":
            self.note(name, seq=payload["seq"])
        elif name == "message_delta":
            self.note("delta", delta=payload)
        elif name == "message_rejected":
            self.note("rejected", message_id=payload["message_id"], code=payload["code"])

    def told(self, notice: Notice) -> None:
        """The kit tells its program."""
        if notice.name == "accepted" and self.letter == "a":
            self._client.settle(notice.payload["client_message_id"], notice.payload["message_id"])
        elif notice.name == "message":
            self.note("shown", seq=notice.payload["seq"], device=self.letter)


TAP: ContextVar[Tap] = ContextVar("tap")


class TappedConnection(Connection):
    """The kit's connection; the tap hears everything first."""

    def __init__(
        self, url: str, *, on_event: Callable[[str, Any], None], on_lost: Callable[[Connection], None]
    ) -> None:
        self._tap = TAP.get()

        def arrived(name: str, payload: Any) -> None:
            self._tap.event(name, payload)
            on_event(name, payload)

        super().__init__(url, on_event=arrived, on_lost=on_lost)
        self._up = False

    async def open(self, token: str) -> Any:
        ready = await super().open(token)
        self._up = True
        self._tap.opened(self.url)
        return ready

    def emit(self, event: str, payload: Any, answered: Answered) -> None:
        def answer(ack: Any) -> None:
            self._tap.answered(event, payload, ack)
            answered(ack)

        if self._up:
            self._tap.asked(event, payload)
        super().emit(event, payload, answer)

    def drop(self) -> None:
        if self._up:
            self._up = False
            self._tap.lost()
        super().drop()


setattr(backchat_client.link, "Connection", TappedConnection)  # noqa: B010 - a seam that only tests need

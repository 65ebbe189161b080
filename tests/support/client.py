"""Clients as the world has them: HTTP for accounts, python-socketio for chats; every event is kept in order."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx2
import socketio

PATIENCE = 20.0  # seconds for what takes milliseconds on an idle machine
Event = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Account:
    """A registered user with a fresh access token."""

    id: str
    passcode: str
    token: str


async def new_account(auth_url: str, passcode: str | None = None) -> Account:
    """Register somebody nobody knows, and log in."""
    body = {"id": f"user-{secrets.token_hex(6)}", "passcode": passcode or secrets.token_urlsafe(16)}
    async with httpx2.AsyncClient(base_url=auth_url, timeout=PATIENCE) as http:
        registered = await http.post("/register", json=body)
        assert registered.status_code == 201, registered.text
    return Account(**body, token=await log_in(auth_url, **body))


async def log_in(auth_url: str, id: str, passcode: str) -> str:  # noqa: A002 - the field's public name
    """An access token."""
    async with httpx2.AsyncClient(base_url=auth_url, timeout=PATIENCE) as http:
        answer = await http.post("/login", json={"id": id, "passcode": passcode})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


class Refused(Exception):
    """The server refused the connection; `data` is what `connect_error` carried."""

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        self.data = data

    @property
    def code(self) -> str | None:
        """What the server said; none if it was not even that."""
        return self.data["data"]["code"] if isinstance(self.data, dict) else None


class Device:
    """One Socket.IO connection of a user: an async context manager, connected and `ready` inside the block."""

    def __init__(self, url: str, token: Any, *, transport: str = "websocket") -> None:
        self.events: list[Event] = []
        self._url = url
        self._token = token
        self._transport = transport
        self._news = asyncio.Condition()
        self._refusal: Any = None
        self.client = socketio.AsyncClient(reconnection=False, handle_sigint=False)
        self.client.on("*", self._arrived)
        self.client.on("connect_error", self._refused)

    async def __aenter__(self) -> Self:
        deadline = time.monotonic() + PATIENCE
        while (refusal := await self._connect()) is not None:
            if refusal.code != "unavailable" or time.monotonic() > deadline:
                raise refusal
            await asyncio.sleep(0.2)  # as a client does: something was restarted just now
        await self.until("ready")
        return self

    async def _connect(self) -> Refused | None:
        auth = None if self._token is None else {"token": self._token}
        self._refusal = None
        try:
            async with asyncio.timeout(2 * PATIENCE):  # the library has none for the HTTP upgrade
                await self.client.connect(self._url, auth=auth, transports=[self._transport], wait_timeout=PATIENCE)
        except socketio.exceptions.ConnectionError as error:
            await self.leave()
            return Refused(self._refusal or str(error))
        return None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()

    async def leave(self) -> None:
        """Disconnect; the library waits for its tasks without end, and they may wait for a server that stands still."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self.client.disconnect()

    async def call(self, event: str, payload: Any = None) -> dict[str, Any]:
        """Send an event and return its ack."""
        ack = await self.client.call(event, payload, timeout=PATIENCE)
        assert isinstance(ack, dict), ack
        assert isinstance(ack["ok"], bool), ack
        return ack

    async def ok(self, event: str, **payload: Any) -> dict[str, Any]:
        """Send an event that must succeed and return its ack.

        Waits as it is told and sends again while the user is over the budget: many devices share it.
        """
        async with asyncio.timeout(PATIENCE):
            while not (ack := await self.call(event, payload))["ok"]:
                assert ack["error"]["code"] == "rate_limited", (event, ack)
                await asyncio.sleep(ack["error"]["retry_after"])
        return ack

    async def error(self, event: str, payload: Any = None) -> str:
        """Send an event that must be refused and return the code."""
        ack = await self.call(event, payload)
        assert not ack["ok"], (event, payload, ack)
        assert set(ack["error"]) <= {"code", "message", "retry_after"}, ack
        assert ack["error"]["message"], ack
        return str(ack["error"]["code"])

    async def start_chat(self, chatbot: str = "echo", **payload: Any) -> dict[str, Any]:
        """A new session with one chatbot, which this device has joined; it has a title, or its first reply gives one.

        Tries again while it is `unavailable`, as it may be until the chatbots of a new system are known, or
        `rate_limited`.
        """
        payload = {"title": "A chat", "chatbot_ids": [chatbot], "client_request_id": secrets.token_hex(8), **payload}
        async with asyncio.timeout(PATIENCE):
            while not (ack := await self.call("start_chat", payload))["ok"]:
                assert ack["error"]["code"] in {"unavailable", "rate_limited"}, ack
                await asyncio.sleep(0.1)
        session: dict[str, Any] = ack["session"]
        return session

    async def send(self, session: dict[str, Any], content: str, **payload: Any) -> str:
        """Send a message and return the id that the ack gives it."""
        ack = await self.ok("send_message", session_id=session["id"], content=content, **payload)
        assert ack["status"] == "accepted", ack
        return str(ack["message_id"])

    async def until(self, name: str, fits: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """The first event, past or coming, with that name that fits."""
        found: list[dict[str, Any]] = []

        def arrived() -> bool:
            found[:] = [payload for event, payload in self.events if event == name and fits(payload)]
            return bool(found)

        await self.until_all(arrived, f"no fitting {name!r}")
        return found[0]

    async def until_all(self, holds: Callable[[], bool], otherwise: str) -> None:
        """Wait until `holds`, looking again after every event."""
        try:
            async with asyncio.timeout(PATIENCE), self._news:
                await self._news.wait_for(holds)
        except TimeoutError:
            seen = [(event, payload.get("seq", payload.get("offset"))) for event, payload in self.events]
            raise AssertionError(f"{otherwise} within {PATIENCE:g} s; seen: {seen}") from None

    async def reply_to(self, message_id: str) -> dict[str, Any]:
        """The stored reply that answers the message."""
        return await self.until("message", lambda m: m["sender_type"] == "chatbot" and m["reply_to"] == message_id)

    def received(self, *names: str, session: dict[str, Any]) -> list[Event]:
        """The events of the given names and session, in order of arrival."""
        return [(n, p) for n, p in self.events if n in names and p.get("session_id") == session["id"]]

    async def history(self, session: dict[str, Any]) -> list[dict[str, Any]]:
        """Every message of the session, by paging through `get_messages`."""
        messages: list[dict[str, Any]] = []
        while True:
            after = messages[-1]["seq"] if messages else 0
            page = await self.ok("get_messages", session_id=session["id"], after_seq=after, limit=200)
            messages += page["messages"]
            if not page["has_more"]:
                return messages

    async def _arrived(self, event: str, *arguments: Any) -> None:
        self.events.append((event, arguments[0] if arguments else {}))
        async with self._news:
            self._news.notify_all()

    async def _refused(self, data: Any = None) -> None:
        self._refusal = data

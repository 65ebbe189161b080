"""Test clients: HTTP for accounts, python-socketio for chats. Every received event is kept, in order."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx2
import socketio

from tests.support.waiting import pause, until

PATIENCE = 20.0  # seconds; takes milliseconds on an idle machine
RECONNECT = 0.2  # seconds between two attempts to connect
Event = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Account:
    """A registered user with a fresh access token."""

    id: str
    passcode: str
    token: str


async def new_account(auth_url: str, passcode: str | None = None) -> Account:
    """Register a new account with a random id, and log in."""
    body = {"id": f"user-{secrets.token_hex(6)}", "passcode": passcode or secrets.token_urlsafe(16)}
    async with httpx2.AsyncClient(base_url=auth_url, timeout=PATIENCE) as http:
        registered = await http.post("/register", json=body)
        assert registered.status_code == 201, registered.text
    return Account(**body, token=await log_in(auth_url, **body))


async def log_in(auth_url: str, id: str, passcode: str) -> str:  # noqa: A002 - the field's public name
    """Log in and return the access token."""
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
        """Error code of the server; None if it refused without one."""
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
        refusal: Refused | None = None

        async def connected() -> bool:
            nonlocal refusal
            refusal = await self._connect()
            return refusal is None or refusal.code != "unavailable"

        with contextlib.suppress(AssertionError):  # `unavailable` all the time
            await until(connected, PATIENCE, every=RECONNECT)
        if refusal:
            raise refusal
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
        """Disconnect. With a time limit, since the library waits for its tasks, and these may wait for a paused server."""
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

        Waits for `retry_after` and sends again while the user is rate-limited: many devices share a budget.
        """
        async with asyncio.timeout(PATIENCE):
            while not (ack := await self.call(event, payload))["ok"]:
                assert ack["error"]["code"] == "rate_limited", (event, ack)
                await pause(ack["error"]["retry_after"], "rate limit")
        return ack

    async def error(self, event: str, payload: Any = None) -> str:
        """Send an event that must be refused and return the code."""
        ack = await self.call(event, payload)
        assert not ack["ok"], (event, payload, ack)
        assert set(ack["error"]) <= {"code", "message", "retry_after"}, ack
        assert ack["error"]["message"], ack
        return str(ack["error"]["code"])

    async def start_chat(self, chatbot: str = "echo", **payload: Any) -> dict[str, Any]:
        """Create and join a session with one chatbot. It has a title, so that the first reply does not set one.

        Sends again while the ack is `unavailable` (the gateway does not know the chatbots of a new system yet) or
        `rate_limited`.
        """
        payload = {"title": "A chat", "chatbot_ids": [chatbot], "client_request_id": secrets.token_hex(8), **payload}
        ack: dict[str, Any] = {}

        async def answered() -> bool:
            nonlocal ack
            ack = await self.call("start_chat", payload)
            return ack["ok"] or ack["error"]["code"] not in {"unavailable", "rate_limited"}

        await until(answered, PATIENCE, every=0.1)
        assert ack["ok"], ack
        session: dict[str, Any] = ack["session"]
        return session

    async def send(self, session: dict[str, Any], content: str, **payload: Any) -> str:
        """Send a message and return its id from the ack."""
        ack = await self.ok("send_message", session_id=session["id"], content=content, **payload)
        assert ack["status"] == "accepted", ack
        return str(ack["message_id"])

    async def until(self, name: str, fits: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """Wait for the first event with that name that fits, received before or after the call."""
        found: list[dict[str, Any]] = []

        def arrived() -> bool:
            found[:] = [payload for event, payload in self.events if event == name and fits(payload)]
            return bool(found)

        await self.until_all(arrived, f"no fitting {name!r}")
        return found[0]

    async def until_all(self, holds: Callable[[], bool], otherwise: str) -> None:
        """Wait until `holds`, which is checked after every event."""
        try:
            async with asyncio.timeout(PATIENCE), self._news:
                await self._news.wait_for(holds)
        except TimeoutError:
            seen = [(event, payload.get("seq", payload.get("offset"))) for event, payload in self.events]
            raise AssertionError(f"{otherwise} within {PATIENCE:g} s; seen: {seen}") from None

    async def reply_to(self, message_id: str) -> dict[str, Any]:
        """Wait for the stored reply to the message."""
        return await self.until("message", lambda m: m["sender_type"] == "chatbot" and m["reply_to"] == message_id)

    def received(self, *names: str, session: dict[str, Any]) -> list[Event]:
        """Return the events of the given names and session, in order of arrival."""
        return [(n, p) for n, p in self.events if n in names and p.get("session_id") == session["id"]]

    async def history(self, session: dict[str, Any]) -> list[dict[str, Any]]:
        """Read all messages of the session, by pages of `get_messages`."""
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

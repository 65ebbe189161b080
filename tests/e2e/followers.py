"""Clients that follow one session, each by another protocol, and reconnect with their cursor after every loss."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import count
from typing import Any

import httpx2

from tests.support.client import Account, Device, Refused
from tests.support.event_stream import EventStream
from tests.support.waiting import pause, until

RETRY = 0.3  # seconds between two attempts
CHANGES = ("message", "message_updated", "session_updated")


class Follower(ABC):
    """Applies each change of a session once, in order. `connects`: how often it was answered."""

    def __init__(self, urls: Sequence[str], account: Account, session: dict[str, Any]) -> None:
        self.seen: list[tuple[int, str]] = []
        self.connects = 0
        self.reconnecting = asyncio.Event()  # set by a test: leave and connect again
        self._urls = urls
        self._account = account
        self._session = session

    @property
    def cursor(self) -> int:
        """The number of the last change."""
        return self.seen[-1][0] if self.seen else 0

    async def run(self) -> None:
        """Follow until cancelled, at another gateway after each loss."""
        for attempt in count():
            self.reconnecting.clear()
            with contextlib.suppress(httpx2.HTTPError, Refused, AssertionError, ConnectionError, TimeoutError):
                await self._follow(self._urls[attempt % len(self._urls)])
            await pause(RETRY, "backoff of the client")

    @abstractmethod
    async def _follow(self, url: str) -> None:
        """Follow at one gateway until the connection is lost or the test wants a reconnect."""

    def apply(self, name: str, payload: dict[str, Any]) -> None:
        """Apply a change."""
        is_session = name == "session_updated"
        number = payload["seq"] if is_session else payload["updated_seq"]
        if number > self.cursor:  # a socket may receive changes of the answer to its join before it
            self.seen.append((number, str(payload["title"] if is_session else payload["content"])))

    def apply_answer(self, answer: dict[str, Any]) -> None:
        """Apply the changes of an answer to `join_chat`."""
        changes = [(message["updated_seq"], "message", message) for message in answer["messages"]]
        if answer["session"]["seq"] <= answer["last_seq"]:
            changes.append((answer["session"]["seq"], "session_updated", answer["session"]))
        for _, name, payload in sorted(changes, key=lambda change: change[0]):
            self.apply(name, payload)


class SocketFollower(Follower):
    """By Socket.IO."""

    async def _follow(self, url: str) -> None:
        async with Device(url, self._account.token) as device:
            answer: dict[str, Any] = {"has_more": True}
            while answer["has_more"]:
                answer = await device.ok("join_chat", session_id=self._session["id"], after_seq=self.cursor)
                self.apply_answer(answer)
            self.connects += 1
            at = 0
            while device.client.connected and not self.reconnecting.is_set():
                while at < len(device.events):
                    name, payload = device.events[at]
                    at += 1
                    if name in CHANGES and self._session["id"] in (payload["id"], payload.get("session_id")):
                        self.apply(name, payload)
                await pause(0.02, "the client looks for events")


class StreamFollower(Follower):
    """By Server-Sent Events. Its numbers must ascend: `repeats` counts those that do not."""

    repeats = 0

    async def _follow(self, url: str) -> None:
        path = f"{url}/v1/sessions/{self._session['id']}/events"
        async with EventStream(path, self._account.token, last_event_id=str(self.cursor)) as stream:
            if stream.response.status_code != 200:
                return
            self.connects += 1
            at = 0
            while not self.reconnecting.is_set():
                over = stream.closed or stream.failure is not None
                while at < len(stream.events):
                    event = stream.events[at]
                    at += 1
                    if event.name in CHANGES:
                        self.repeats += event.id is None or event.id <= self.cursor
                        self.apply(event.name, event.data)
                if over:
                    return
                await pause(0.02, "the client looks for events")


class PollingFollower(Follower):
    """By repeated requests for the changes after the cursor."""

    async def _follow(self, url: str) -> None:
        headers = {"Authorization": f"Bearer {self._account.token}"}
        async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=10) as http:
            while not self.reconnecting.is_set():
                path = f"/v1/sessions/{self._session['id']}/changes"
                answer = await http.get(path, params={"after_seq": self.cursor, "limit": 3})
                if answer.status_code != 200:
                    return
                self.connects += 1
                self.apply_answer(answer.json())
                if not answer.json()["has_more"]:
                    await pause(0.1, "interval of the polling client")


async def post(urls: Sequence[str], account: Account, session: dict[str, Any], key: str, content: str) -> str:
    """Send a message over HTTP until it is accepted, always under the same key; return its id."""
    path, tried = f"/v1/sessions/{session['id']}/messages", count()
    headers = {"Authorization": f"Bearer {account.token}", "Idempotency-Key": key}
    found: list[str] = []

    async def accepted() -> bool:
        with contextlib.suppress(httpx2.HTTPError):
            async with httpx2.AsyncClient(base_url=urls[next(tried) % len(urls)], timeout=7) as http:
                answer = await http.post(path, json={"content": content}, headers=headers)
            if answer.status_code == 202:
                found.append(answer.json()["message_id"])
        return bool(found)

    await until(accepted, 60, every=RETRY)
    return found[0]

"""One Socket.IO connection of a stock client, used once. Passes acks and events to its owner in wire order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Protocol

import orjson
import socketio

ACK_PATIENCE = 10.0  # seconds; the server promises an answer within 6
CONNECT_PATIENCE = 8.0  # seconds
EVENTS = {"message", "message_updated", "message_delta", "session_updated", "message_rejected"}


class Outgoing:
    """A queued message and the state of its delivery."""

    def __init__(self, key: str, content: str) -> None:
        self.key = key
        self.content = content
        self.in_flight = False
        self.due = 0.0  # earliest time of the next attempt


class Owner(Protocol):
    """Receiver of acks and events."""

    def answer(self, socket: Socket, message: Outgoing, ack: dict[str, Any] | None) -> None:
        """Handle an ack; None after a timeout or connection loss."""

    def event(self, socket: Socket, name: str, payload: dict[str, Any]) -> None:
        """Handle a server event."""


class Socket:
    """A connection from connect to disconnect."""

    def __init__(self, name: str, owner: Owner) -> None:
        self.name = name
        self.gone = asyncio.Event()
        self._owner = owner
        self._ready = asyncio.Event()
        self._waiting: dict[Outgoing, asyncio.TimerHandle] = {}
        self._asked: set[asyncio.Future[dict[str, Any] | None]] = set()
        self._io = socketio.AsyncClient(reconnection=False, handle_sigint=False, json=_JSON)
        self._io.on("*", self._arrived)
        self._io.on("disconnect", self._disconnected)
        self._closing: asyncio.Task[None] | None = None

    async def connect(self, url: str, token: str) -> bool:
        """Connect and wait for `ready`; returns whether that succeeded."""
        try:
            async with asyncio.timeout(CONNECT_PATIENCE):
                await self._io.connect(
                    url, auth={"token": token}, transports=["websocket"], wait_timeout=CONNECT_PATIENCE
                )
                await self._ready.wait()
        except (socketio.exceptions.ConnectionError, TimeoutError, OSError):
            self.abandon()
            return False
        return True

    async def call(
        self, event: str, payload: dict[str, Any], succeeded: Callable[[Socket, dict[str, Any]], None]
    ) -> dict[str, Any] | None:
        """Send an event and return its ack if it is `ok`, otherwise None.

        `succeeded` is called with the ack before any later event is delivered.
        """
        answer: asyncio.Future[dict[str, Any] | None] = asyncio.get_running_loop().create_future()

        def answered(ack: dict[str, Any]) -> None:
            if not answer.done() and not self.gone.is_set():
                if ack["ok"]:
                    succeeded(self, ack)
                answer.set_result(ack if ack["ok"] else None)

        if self.gone.is_set():
            return None
        self._asked.add(answer)
        try:
            await self._io.emit(event, payload, callback=answered)
            return await asyncio.wait_for(answer, ACK_PATIENCE)
        except (socketio.exceptions.SocketIOError, OSError, TimeoutError):
            return None
        finally:
            self._asked.discard(answer)

    async def send(self, event: str, payload: dict[str, Any], message: Outgoing) -> None:
        """Send an event; the owner gets its ack, or None after a timeout or connection loss."""
        self._waiting[message] = asyncio.get_running_loop().call_later(ACK_PATIENCE, self._overdue)
        try:
            await self._io.emit(event, payload, callback=lambda ack: self._answered(message, ack))
        except (socketio.exceptions.SocketIOError, OSError):
            self._disconnected()

    def abandon(self) -> None:
        """Disconnect in the background and ignore everything received from now on."""
        self._disconnected()
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())

    async def _close(self) -> None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CONNECT_PATIENCE):
                await self._io.disconnect()
        if (session := self._io.eio.http) is not None:  # a failed connect leaves the HTTP session open
            await session.close()

    def _answered(self, message: Outgoing, ack: dict[str, Any]) -> None:
        timer = self._waiting.pop(message, None)
        if timer is not None:
            timer.cancel()
            self._owner.answer(self, message, ack)

    def _overdue(self) -> None:
        self._disconnected()

    def _disconnected(self, *_: Any) -> None:
        self.gone.set()
        for answer in self._asked:
            if not answer.done():
                answer.set_result(None)
        for message, timer in self._waiting.items():
            timer.cancel()
            self._owner.answer(self, message, None)
        self._waiting.clear()

    async def _arrived(self, event: str, *arguments: Any) -> None:
        if event == "ready":
            self._ready.set()
        elif event in EVENTS and not self.gone.is_set():
            self._owner.event(self, event, arguments[0])


class _JSON:
    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        return orjson.dumps(value).decode()

    @staticmethod
    def loads(text: str, **_: Any) -> Any:
        return orjson.loads(text)

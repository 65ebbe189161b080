"""Futures that the client's methods await."""

from __future__ import annotations

import asyncio
from typing import Any

from backchat_client.errors import BackchatClientError, Refused
from backchat_client.notices import Notice

Key = tuple[str, str]  # kind of event, and the id that it is about


class Waiters:
    """Pending futures by the event that resolves them."""

    def __init__(self) -> None:
        self._waiting: dict[Key, list[asyncio.Future[Any]]] = {}

    def wait(self, key: Key, *, unless: BackchatClientError | None) -> asyncio.Future[Any]:
        """Return a future for an event; if the client has stopped, it has already failed."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if unless:
            future.set_exception(unless)
            future.exception()
            return future
        self._waiting.setdefault(key, []).append(future)
        future.add_done_callback(lambda done: self._discard(key, done))
        return future

    def apply(self, notice: Notice) -> None:
        """Resolve or fail the futures that a notice concerns."""
        name, payload = notice.name, notice.payload
        if name in ("started", "loaded"):
            self._resolve((name, payload["client_request_id" if name == "started" else "session_id"]), notice)
        elif name == "connected":
            self._resolve((name, ""), notice)
        elif name == "failed" and "client_request_id" in payload:
            self._fail(("started", payload["client_request_id"]), Refused(payload["code"], payload["message"]))
        elif name == "closed":
            self._fail(("loaded", payload["session_id"]), Refused(payload["code"]))

    def fail(self, error: BackchatClientError, *, kind: str | None = None) -> None:
        """Fail all futures, or all of one kind."""
        for key in list(self._waiting):
            if kind in (None, key[0]):
                self._fail(key, error)

    def _resolve(self, key: Key, value: Any) -> None:
        for future in self._waiting.pop(key, []):
            if not future.done():
                future.set_result(value)

    def _fail(self, key: Key, error: BackchatClientError) -> None:
        for future in self._waiting.pop(key, []):
            if not future.done():
                future.set_exception(error)
                future.exception()  # without it, asyncio logs the error if no caller awaits it

    def _discard(self, key: Key, done: asyncio.Future[Any]) -> None:
        if key in self._waiting:
            self._waiting[key] = [future for future in self._waiting[key] if future is not done]
            if not self._waiting[key]:
                del self._waiting[key]

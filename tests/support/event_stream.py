"""A client of Server-Sent Events on the parser of httpx2. Every received event is kept, in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx2

from tests.support.waiting import until

PATIENCE = 20.0  # seconds


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event. `id` is the one that the event itself carries, or `None`."""

    name: str
    data: dict[str, Any]
    id: int | None


class _Recorded:
    """A response that keeps its text, because the parser drops comments and repeats the last id."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        self.headers = response.headers
        self.request = response.request
        self.text = ""

    async def aiter_text(self) -> AsyncIterator[str]:
        async for chunk in self._response.aiter_text():
            self.text += chunk
            yield chunk


class EventStream:
    """One stream: an async context manager, answered inside the block. `closed`: the server has ended the stream."""

    def __init__(self, url: str, token: str, *, last_event_id: str | None = None, **parameters: Any) -> None:
        self.events: list[StreamEvent] = []
        self.closed = False
        self.failure: Exception | None = None
        self.last_event_id = ""
        self.response: httpx2.Response
        self._url = url
        self._parameters = parameters
        self._headers = {"Authorization": f"Bearer {token}"}
        if last_event_id is not None:
            self._headers["Last-Event-ID"] = last_event_id
        self._exits = contextlib.AsyncExitStack()
        self._recorded: _Recorded
        self._at = 0  # of the next event in the recorded text
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        timeout = httpx2.Timeout(PATIENCE, read=None)
        http = await self._exits.enter_async_context(httpx2.AsyncClient(timeout=timeout))
        asked = http.stream("GET", self._url, params=self._parameters, headers=self._headers)
        self.response = await self._exits.enter_async_context(asked)
        if self.response.status_code != 200:
            await self.response.aread()
            return self
        self._recorded = _Recorded(self.response)
        self._reading = asyncio.create_task(self._read(), name="event stream")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()

    async def leave(self) -> None:
        """Close the connection."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
        await self._exits.aclose()

    @property
    def raw(self) -> str:
        """The text of the body so far."""
        return self._recorded.text

    @property
    def comments(self) -> int:
        """The number of comment lines so far."""
        return sum(line.startswith(":") for line in self.raw.split("\n"))

    def named(self, *names: str) -> list[StreamEvent]:
        """Return the events with these names."""
        return [event for event in self.events if event.name in names]

    @property
    def numbered(self) -> list[StreamEvent]:
        """The events that carry a number and are changes."""
        return [event for event in self.events if event.id is not None and event.name != "ready"]

    async def until(self, name: str, condition: Callable[[dict[str, Any]], Any] = bool) -> dict[str, Any]:
        """Wait for an event and return its payload."""
        return await until(lambda: next((e.data for e in self.named(name) if condition(e.data)), None), PATIENCE)

    async def _read(self) -> None:
        source = httpx2.EventSource(self._recorded)  # type: ignore[arg-type]
        try:
            async for event in source:
                self.events.append(StreamEvent(event.event, json.loads(event.data), self._own_id()))
                self.last_event_id = event.id
            self.closed = True
        except httpx2.HTTPError as error:
            self.failure = error

    def _own_id(self) -> int | None:
        """Return the id of the next event of the recorded text."""
        end = self._recorded.text.index("\n\n", self._at)
        lines = self._recorded.text[self._at : end].split("\n")
        self._at = end + 2
        return next((int(line.removeprefix("id: ")) for line in lines if line.startswith("id: ")), None)

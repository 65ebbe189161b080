"""Requests that are repeated with the same ids until their outcome is known. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from backchat_client.state.backoff import delay
from backchat_client.wire import Outcome, Payload

Kind = Literal["start_chat", "join_chat", "send_message", "get_messages", "leave_chat"]


@dataclass(frozen=True, slots=True)
class Call:
    """An event to emit now. Its ack is passed back with `id`."""

    id: int
    event: str
    payload: Payload


@dataclass(slots=True)
class Request:
    """A request, identified by `kind` and `key` (a session id or a `client_request_id`)."""

    kind: Kind
    key: str
    payload: Payload
    failures: int = 0  # consecutive
    call: int | None = None  # the id of the active call
    due: float | None = None  # when to call again, in seconds of the caller's clock


class Requests:
    """The requests without an outcome: at most one for a kind and key, each with at most one active call."""

    def __init__(self, random: Callable[[], float]) -> None:
        self.calls: list[Call] = []  # calls to make now; the owner empties the list
        self._random = random
        self._requests: dict[tuple[Kind, str], Request] = {}
        self._by_call: dict[int, Request] = {}
        self._last_id = 0

    def __iter__(self) -> Iterator[Request]:
        return iter(list(self._requests.values()))

    def find(self, kind: Kind, key: str) -> Request | None:
        """The request with that kind and key."""
        return self._requests.get((kind, key))

    def start(self, kind: Kind, key: str, payload: Payload, *, now: bool) -> Request:
        """Start a request in place of one with the same kind and key; with `now`, make its first call."""
        self.drop(kind, key)
        request = self._requests[kind, key] = Request(kind, key, payload)
        if now:
            self.call(request)
        return request

    def call(self, request: Request) -> None:
        """Make the request's call."""
        self._last_id += 1
        request.call, request.due = self._last_id, None
        self._by_call[request.call] = request
        self.calls.append(Call(request.call, request.kind, dict(request.payload)))

    def answered(self, call_id: int) -> Request | None:
        """End a call; return its request, or None if the request was dropped."""
        request = self._by_call.pop(call_id, None)
        if request is not None:
            request.call = None
        return request

    def retry(self, request: Request, outcome: Outcome, now: float) -> None:
        """Schedule the request's next call."""
        request.due = now + delay(request.failures, outcome.retry_after, self._random())
        request.failures += 1

    def drop(self, kind: Kind, key: str) -> None:
        """Remove a request. A late ack of its call is ignored."""
        request = self._requests.pop((kind, key), None)
        if request is not None and request.call is not None:
            del self._by_call[request.call]

    def disconnected(self) -> None:
        """End all calls; each request is called again on the next connection, without a delay."""
        self._by_call.clear()
        self.calls.clear()
        for request in self._requests.values():
            request.call = request.due = None
            request.failures = 0

    @property
    def wake_at(self) -> float | None:
        """When the next call is due."""
        return min((request.due for request in self._requests.values() if request.due is not None), default=None)

    def tick(self, now: float) -> None:
        """Make the calls that are due."""
        for request in self:
            if request.due is not None and request.due <= now:
                self.call(request)

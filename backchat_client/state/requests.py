"""Calls that are made again, with the same ids, until their outcome is known. Pure: time comes in, calls go out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from backchat_client.state.backoff import delay
from backchat_client.wire import Outcome, Payload

Kind = Literal["start_chat", "join_chat", "send_message", "get_messages", "leave_chat"]


@dataclass(frozen=True, slots=True)
class Call:
    """An event to emit now; its ack comes back under `id`."""

    id: int
    event: str
    payload: Payload


@dataclass(slots=True)
class Request:
    """Something asked for. `key` with `kind` names it: a session or a `client_request_id`."""

    kind: Kind
    key: str
    payload: Payload
    failures: int = 0  # in a row
    call: int | None = None  # the one under way
    due: float | None = None  # when to call again; seconds, the caller's clock


class Requests:
    """Those whose outcome is not known. At most one for a kind and key, and at most one call of it under way."""

    def __init__(self, random: Callable[[], float]) -> None:
        self.calls: list[Call] = []  # to be made now; the owner empties it
        self._random = random
        self._asked: dict[tuple[Kind, str], Request] = {}
        self._under_way: dict[int, Request] = {}
        self._last_id = 0

    def __iter__(self) -> Iterator[Request]:
        return iter(list(self._asked.values()))

    def find(self, kind: Kind, key: str) -> Request | None:
        """The one that is being asked for."""
        return self._asked.get((kind, key))

    def ask(self, kind: Kind, key: str, payload: Payload, *, now: bool) -> Request:
        """Begin one, in place of any with that name; `now`: there is a connection to call it on."""
        self.drop(kind, key)
        request = self._asked[kind, key] = Request(kind, key, payload)
        if now:
            self.call(request)
        return request

    def call(self, request: Request) -> None:
        """Make the call."""
        self._last_id += 1
        request.call, request.due = self._last_id, None
        self._under_way[request.call] = request
        self.calls.append(Call(request.call, request.kind, dict(request.payload)))

    def answered(self, call_id: int) -> Request | None:
        """Whose answer that is; None if nobody waits for it any more."""
        request = self._under_way.pop(call_id, None)
        if request is not None:
            request.call = None
        return request

    def retry(self, request: Request, outcome: Outcome, now: float) -> None:
        """Call it again later."""
        request.due = now + delay(request.failures, outcome.retry_after, self._random())
        request.failures += 1

    def drop(self, kind: Kind, key: str) -> None:
        """Its outcome is known, or nobody wants it any more; a late answer is nobody's."""
        request = self._asked.pop((kind, key), None)
        if request is not None and request.call is not None:
            del self._under_way[request.call]

    def disconnected(self) -> None:
        """No answer will come; everything is called again on the next connection, without waiting."""
        self._under_way.clear()
        self.calls.clear()
        for request in self._asked.values():
            request.call = request.due = None
            request.failures = 0

    @property
    def wake_at(self) -> float | None:
        """When the next call is due."""
        return min((request.due for request in self._asked.values() if request.due is not None), default=None)

    def tick(self, now: float) -> None:
        """Make the calls that are due."""
        for request in self:
            if request.due is not None and request.due <= now:
                self.call(request)

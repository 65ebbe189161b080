"""Measures single operations of a turn in microseconds: `python -m benchmarks micro`."""

from __future__ import annotations

import gc
from collections.abc import Callable
from itertools import count
from time import perf_counter
from uuid import uuid4

from chat_gateway.domain.cursor import Cursor
from shared.contracts import ids
from shared.contracts.commands import SendMessage
from shared.contracts.envelope import Event, join, read_body
from shared.contracts.payload import rfc3339_now

TRIES = 7  # the best one counts: slower ones were disturbed
SECONDS = 0.1  # of each try


def main() -> None:
    """Print the measurements as a Markdown table."""
    print("| what | µs, best of 7 |\n| --- | --- |")
    for name, action in _actions().items():
        print(f"| {name} | {_best(action):.2f} |")


def _actions() -> dict[str, Callable[[], object]]:
    session = uuid4()
    command = SendMessage(
        session_id=session,
        message_id=uuid4(),
        user_id="alice",
        content="x" * 100,
        client_message_id=str(uuid4()),
        reply_to=None,
        created_at=rfc3339_now(),
    )
    event = Event(source="benchmark", data=command, subject=str(session))
    encoded = event.encode()
    body = join([encoded])
    received = read_body(body)[0]
    cursor: Cursor[None] = Cursor()
    cursor.loaded(0)
    numbers = count(1)
    return {
        "message_id (UUIDv5 of session, user, client id)": lambda: ids.message_id(session, "alice", "client-1"),
        "make a SendMessage": lambda: SendMessage(**command.__dict__),
        "encode an Event": event.encode,
        "make and encode an Event": lambda: Event(source="benchmark", data=command, subject="s").encode(),
        "read a body of one": lambda: read_body(body),
        "parse the payload": lambda: received.parse(SendMessage),
        "let a number through the cursor": lambda: cursor.arrived(next(numbers), None),
    }


def _best(action: Callable[[], object]) -> float:
    """Return the microseconds of one call."""
    calls = 1
    while (taken := _time(action, calls)) < SECONDS:
        calls = max(calls * 2, int(calls * SECONDS / max(taken, 1e-9)))
    gc.disable()
    try:
        return min(_time(action, calls) for _ in range(TRIES)) / calls * 1e6
    finally:
        gc.enable()


def _time(action: Callable[[], object], calls: int) -> float:
    begin = perf_counter()
    for _ in range(calls):
        action()
    return perf_counter() - begin

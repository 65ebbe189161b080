"""Operation log of one simulated client: one JSON object per line, written to disk before each send.

Every entry has `t` (the system-wide monotonic clock in seconds) and `what`. Further fields:

| what | fields | when |
| --- | --- | --- |
| `opened` | `socket`, `gateway` | a connection is ready; `socket` is a unique name |
| `closed` | `socket`, `final` | the connection is gone; `final`: it was still open at the end of the run |
| `created` | `socket`, `session` | `start_chat` was acked: the socket has joined from the first number on |
| `joined` | `socket`, `session`, `after` (None: first load), `last_seq`, `messages`, `has_more` | one page of `join_chat` |
| `sent` | `socket`, `session`, `key`, `content` | an attempt is about to be sent; `key` is its `client_message_id` |
| `acked` | `socket`, `key`, `message_id` | accepted |
| `refused` | `socket`, `key`, `code` | error ack; for `unavailable` and `internal` the outcome is unknown |
| `unanswered` | `socket`, `key` | no ack: timeout or connection loss; the outcome is unknown |
| `message`, `message_updated` | `socket`, `session`, `message` | the whole event |
| `session_updated` | `socket`, `session`, `seq` | number of the event |
| `delta` | `socket`, `session`, `delta` | the whole event |
| `rejected` | `socket`, `session`, `message_id`, `code` | `message_rejected` |
| `shown` | `seq`, `device` | the client kit passed a message to its program |
| `held` | `messages` | messages of the session that the kit holds at the end |
| `login` | `began` | the login probe got a token; the request was sent at `began` |
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

Entry = dict[str, Any]


class OperationLog:
    """Append-only file of entries. Call `flush` before an operation that must not be missing from the log."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")

    def record(self, what: str, **fields: Any) -> None:
        """Append one entry; it may stay in memory until the next `flush`."""
        self._file.write(orjson.dumps({"t": time.monotonic(), "what": what, **fields}) + b"\n")

    def flush(self) -> None:
        """Write the entries to the operating system, where they survive a crash of this process."""
        self._file.flush()

    def close(self) -> None:
        """Write the remaining entries and close the file."""
        self._file.close()


def read(path: Path) -> Iterator[Entry]:
    """Yield the entries of one log, without the incomplete last line of a killed process."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield orjson.loads(line)

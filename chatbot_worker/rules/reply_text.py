"""The text of a reply under way, and which part of it has been published. Pure.

A client appends a delta whose `offset` is the length of its text, and replaces its text by a snapshot
(contract.md §3.7). Offsets and lengths count Unicode code points.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from shared.contracts.views import REASONING_BYTES_MAX, REPLY_CONTENT_MAX

# NUL and lone surrogates are invalid in a message (contract.md §3.8). All further control characters
# take six bytes each in JSON, so that a reply of full length could exceed the size of an event.
FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
ESCAPED = re.compile(r'["\\\n\r\t]')  # characters that take a second byte in JSON
PAIR = re.compile(r"[\ud800-\udbff][\udc00-\udfff]")  # one character, as two escapes of JSON in two pieces


class Update(NamedTuple):
    """The content of one `message_delta`: `text` after the first `offset` code points, or the whole text so far."""

    offset: int
    text: str
    snapshot: bool


class ReplyText:
    """The text of a reply. `add` appends to it; `delta` and `snapshot` return text and mark it as published."""

    __slots__ = ("_half", "_pending", "_published", "_published_length", "full", "length", "limit")

    def __init__(self, limit: int = REPLY_CONTENT_MAX) -> None:
        self.limit = limit
        self.length = 0  # code points
        self.full = False  # the text was cut at the limit
        self._published: list[str] = []
        self._published_length = 0
        self._pending: list[str] = []
        self._half = ""  # the first half of a character whose second half is in the next piece

    def add(self, piece: str) -> None:
        """Append a piece. Invalid characters are replaced, and the text is cut at the limit."""
        if not piece.isascii() or not piece.isprintable() or self._half:
            piece = self._clean(piece)
        if len(piece) > self.limit - self.length:
            piece = piece[: self.limit - self.length]
            self.full = True
        if piece:
            self._pending.append(piece)
            self.length += len(piece)

    def replace(self, text: str) -> None:
        """Start again with another text, of which nothing has been published."""
        self._published.clear()
        self._pending.clear()
        self._published_length = self.length = 0
        self._half = ""
        self.full = False
        self.add(text)

    def finish(self) -> None:
        """Append the rest of an incomplete character. No piece follows."""
        if self._half:
            self._half = ""
            self.add(REPLACEMENT)

    def _clean(self, piece: str) -> str:
        piece, self._half = self._half + piece, ""
        if piece and "\ud800" <= piece[-1] <= "\udbff":
            piece, self._half = piece[:-1], piece[-1]
        piece = PAIR.sub(lambda found: found[0].encode("utf-16", "surrogatepass").decode("utf-16"), piece)
        return FORBIDDEN.sub(REPLACEMENT, piece)

    @property
    def pending(self) -> bool:
        """Whether there is unpublished text."""
        return bool(self._pending)

    @property
    def content(self) -> str:
        """The whole text so far."""
        return "".join(self._published) + "".join(self._pending)

    def delta(self) -> Update | None:
        """Return the unpublished text; `None` without any."""
        if not self._pending:
            return None
        offset = self._published_length
        return Update(offset, self._mark_published(), snapshot=False)

    def snapshot(self) -> Update:
        """Return the whole text so far."""
        self._mark_published()
        return Update(0, "".join(self._published), snapshot=True)

    def _mark_published(self) -> str:
        text = "".join(self._pending)
        self._pending.clear()
        if text:
            self._published.append(text)
            self._published_length = self.length
        return text


class ReasoningText(ReplyText):
    """The reasoning of a reply, at most `REASONING_BYTES_MAX`. The rest is dropped."""

    __slots__ = ("_room",)

    def __init__(self) -> None:
        super().__init__()
        self._room = REASONING_BYTES_MAX

    def add(self, piece: str) -> None:
        """Append a piece, as far as there is room."""
        size = len(piece.encode(errors="replace")) + len(ESCAPED.findall(piece))
        if size > self._room:
            piece = piece.encode(errors="replace")[: self._room // 2].decode(errors="ignore")
            self._room = 0
        else:
            self._room -= size
        super().add(piece)

    def replace(self, text: str) -> None:
        """Start again with another text."""
        self._room = REASONING_BYTES_MAX
        super().replace(text)

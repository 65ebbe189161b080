"""The text of one reply under way: what has come, what has been told, and what to tell next. Pure.

A client applies what is told by the rule of contract.md §3.7: a delta whose `offset` is the length of its
text is put on; a snapshot replaces the text. Offsets and lengths count Unicode code points.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from shared.contracts.views import REPLY_CONTENT_MAX

# What no message may hold (contract.md §3.8: NUL, lone surrogates), and the other control characters, each of
# which would take six bytes in JSON, so that a reply of full length could outgrow an event.
FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class Update:
    """One piece of news: `text` after the first `offset` code points, or the whole text so far."""

    offset: int
    text: str
    snapshot: bool


class ReplyText:
    """Grows by `add`; `delta` and `snapshot` say what is new and remember that it was told."""

    __slots__ = ("_told", "_told_length", "_untold", "full", "length", "limit")

    def __init__(self, limit: int = REPLY_CONTENT_MAX) -> None:
        self.limit = limit
        self.length = 0  # code points
        self.full = False  # more came than fits: the text was cut
        self._told: list[str] = []
        self._told_length = 0
        self._untold: list[str] = []

    def add(self, piece: str) -> None:
        """Take the next piece, cleaned, and cut where the limit is."""
        if not piece.isascii() or not piece.isprintable():
            piece = FORBIDDEN.sub(REPLACEMENT, piece)
        if len(piece) > self.limit - self.length:
            piece = piece[: self.limit - self.length]
            self.full = True
        if piece:
            self._untold.append(piece)
            self.length += len(piece)

    @property
    def pending(self) -> bool:
        """Whether there is text that nobody has been told."""
        return bool(self._untold)

    @property
    def content(self) -> str:
        """The whole text so far."""
        return "".join(self._told) + "".join(self._untold)

    def delta(self) -> Update | None:
        """What came since the last telling; `None` if nothing did."""
        if not self._untold:
            return None
        offset = self._told_length
        return Update(offset, self._tell(), snapshot=False)

    def snapshot(self) -> Update:
        """The whole text so far."""
        self._tell()
        return Update(0, "".join(self._told), snapshot=True)

    def _tell(self) -> str:
        text = "".join(self._untold)
        self._untold.clear()
        if text:
            self._told.append(text)
            self._told_length = self.length
        return text

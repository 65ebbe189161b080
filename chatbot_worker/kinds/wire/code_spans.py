"""Tracks whether the end of a growing Markdown text is within code. Pure, and linear in the length of the text."""

from __future__ import annotations

import re

FENCE = re.compile(r" {0,3}(?:```|~~~)")
HEAD = 6  # characters of a line that show whether it is a fence


class CodeSpans:
    """The state at the end of a text: a fenced block is open, or its line has an odd number of backticks."""

    def __init__(self) -> None:
        self._fenced = False
        self._head = ""  # of the current line
        self._ticks = 0  # in the current line

    @property
    def inside(self) -> bool:
        """Whether the next character is within code."""
        return self._fenced != bool(FENCE.match(self._head)) or self._ticks % 2 == 1

    def feed(self, text: str) -> None:
        """Append text."""
        if "\n" not in text:
            return self._extend(text)
        *ended, last = text.split("\n")
        for line in ended:
            self._extend(line)
            self._fenced ^= bool(FENCE.match(self._head))
            self._head, self._ticks = "", 0
        return self._extend(last)

    def _extend(self, part: str) -> None:
        if len(self._head) < HEAD:
            self._head += part[: HEAD - len(self._head)]
        self._ticks += part.count("`")

"""Finds the lines of chatbots and of their fields in the text of a catalogue, for error messages.

The TOML parser keeps no positions, so they are searched by patterns. Where a field is not found, its chatbot's first
line is reported.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_HEADER = re.compile(r"^[ \t]*\[\[[ \t]*(?:chatbots|\"chatbots\"|'chatbots')[ \t]*\]\]")
_TABLE = re.compile(r"^[ \t]*\[")


@dataclass(frozen=True, slots=True)
class Position:
    """The position of one chatbot.

    Attributes:
        name: of the chatbot in an error message.
        first: number of its first line.
        lines: its lines; empty if they are unknown.
    """

    name: str
    first: int
    lines: Sequence[str]

    def __str__(self) -> str:
        return self.of()

    def of(self, *path: str | int) -> str:
        """Return the chatbot's name with the line of a field, or of the nearest table around it."""
        return f"{self.name} (line {self.first + self._find(path)})" if self.lines else self.name

    def _find(self, path: Sequence[str | int]) -> int:
        at = 0
        for depth, key in enumerate(path):
            quoted = rf"[\"']?{re.escape(str(key))}[\"']?"
            own = range(1, self._end(1)) if not depth else range(at, self._end(at + 1))
            inline = "" if not depth else r".*[{,. \t]"
            lines = (n for n in own if re.match(rf"(?:{inline}|[ \t]*){quoted}[ \t]*[=.]", self.lines[n]))
            header = re.compile(rf"[ \t]*\[+[ \t]*chatbots\..*{quoted}[ \t]*\]")
            tables = (n for n in range(at, len(self.lines)) if header.match(self.lines[n]))
            found = next(lines, None)
            found = next(tables, None) if found is None else found
            if found is None:
                break
            at = found
        return at

    def _end(self, start: int) -> int:
        """Return the index of the next line that begins a table."""
        return next((n for n in range(start, len(self.lines)) if _TABLE.match(self.lines[n])), len(self.lines))


def find_positions(text: str, tables: Sequence[dict[str, Any]]) -> list[Position]:
    """Return the position of each chatbot in `text`. `tables` are the parsed chatbots."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if _HEADER.match(line)]
    if len(starts) != len(tables):  # so for `chatbots = [{…}]`
        return [Position(_name(number, table), 0, ()) for number, table in enumerate(tables, 1)]
    ends = [*starts[1:], len(lines)]
    return [
        Position(_name(number, table), start + 1, lines[start:end])
        for number, (table, start, end) in enumerate(zip(tables, starts, ends, strict=True), 1)
    ]


def _name(number: int, table: dict[str, Any]) -> str:
    quoted = f' "{table["id"]}"' if isinstance(table.get("id"), str) else ""
    return f"chatbot {number}{quoted}"

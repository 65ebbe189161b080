"""Titles of sessions, derived from their first message. No I/O."""

from __future__ import annotations

import re

TITLE_LENGTH = 60  # code points, of a derived title

# Quadratic at worst, but applied only to the beginning of a message (`session_store.TITLE_SOURCE_LENGTH`).
_FENCE = re.compile(r"^ {0,3}(?:```|~~~).*$", re.MULTILINE)
_LINE_MARK = re.compile(r"^ {0,3}(?:(?:#{1,6}|[-*+]|>)(?:[ \t]+|$))+", re.MULTILINE)
_LINK = re.compile(r"!?\[([^\[\]\n]*)\]\([^()\n]*\)")
_STRONG = re.compile(r"(\*{2,3}|__|~~|`+)(?=\S)(.+?)(?<=\S)\1")
_EMPHASIS = re.compile(r"(?<!\w)([*_])(?=\S)(.+?)(?<=\S)\1(?!\w)")


def title_from(content: str) -> str | None:
    """Return a title of one line without Markdown, cut at a word boundary; `None` if no printable text is left."""
    words = _words(without_markdown(content)) or _words(content)
    line = " ".join(words)
    if len(line) <= TITLE_LENGTH:
        return line or None
    cut = line[:TITLE_LENGTH].rfind(" ")
    return line[: cut if cut > TITLE_LENGTH // 2 else TITLE_LENGTH - 1].rstrip() + "…"


def without_markdown(content: str) -> str:
    """Remove the Markdown syntax of the usual cases: a title is plain text."""
    content = _FENCE.sub("", content)
    content = _LINE_MARK.sub("", content)
    content = _LINK.sub(r"\1", content)
    return _EMPHASIS.sub(r"\2", _STRONG.sub(r"\2", content))


def _words(content: str) -> list[str]:
    return "".join(c if c.isprintable() else " " for c in content).split()

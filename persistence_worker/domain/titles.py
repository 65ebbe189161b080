"""Titles of sessions, derived from their first message. No I/O."""

from __future__ import annotations

import re
import unicodedata

from wcwidth import iter_graphemes

TITLE_LENGTH = 60  # code points, of a derived title

# Quadratic at worst, but applied only to the beginning of a message (`session_store.TITLE_SOURCE_LENGTH`).
_FENCE = re.compile(r"^ {0,3}(?:```|~~~).*$", re.MULTILINE)
_LINE_MARK = re.compile(r"^ {0,3}(?:(?:#{1,6}|[-*+]|>)(?:[ \t]+|$))+", re.MULTILINE)
_LINK = re.compile(r"!?\[([^\[\]\n]*)\]\([^()\n]*\)")
_STRONG = re.compile(r"(\*{2,3}|__|~~|`+)(?=\S)(.+?)(?<=\S)\1")
_EMPHASIS = re.compile(r"(?<!\w)([*_])(?=\S)(.+?)(?<=\S)\1(?!\w)")

# Marks that change nothing a reader sees, or the order of all that follows: soft hyphen, zero-width space, word joiner,
# byte order mark, Mongolian vowel separator, embeddings, overrides and isolates of text direction.
_INVISIBLE = frozenset("\u00ad\u200b\u2060\ufeff\u180e\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def title_from(content: str) -> str | None:
    """Return a title of one line without Markdown, cut at a word boundary; `None` if no visible text is left."""
    words = _words(without_markdown(content)) or _words(content)
    line = " ".join(words)
    if len(line) <= TITLE_LENGTH:
        return line or None
    cut = line[:TITLE_LENGTH].rfind(" ")
    return (line[:cut] if cut > TITLE_LENGTH // 2 else _beginning(line, TITLE_LENGTH - 1)).rstrip() + "…"


def without_markdown(content: str) -> str:
    """Remove the Markdown syntax of the usual cases: a title is plain text."""
    content = _FENCE.sub("", content)
    content = _LINE_MARK.sub("", content)
    content = _LINK.sub(r"\1", content)
    return _EMPHASIS.sub(r"\2", _STRONG.sub(r"\2", content))


def _words(content: str) -> list[str]:
    words = "".join(map(_shown, content)).split()
    return words if any(map(_is_visible, words)) else []


def _shown(character: str) -> str:
    """Return what a title has instead of a character: a space for a control, nothing for an invisible mark.

    Joiners stay, because words of Persian and Hindi and many emoji consist of joined characters. The category of a
    character that is newer than this Python is unknown; it stays.
    """
    if character in _INVISIBLE:
        return ""
    return " " if unicodedata.category(character) in ("Cc", "Zl", "Zp") else character


def _is_visible(word: str) -> bool:
    return any(unicodedata.category(c) not in ("Cf", "Mn", "Me") for c in word)


def _beginning(line: str, length: int) -> str:
    """Return at most `length` code points of a line, without a part of a character that a reader sees as one."""
    end = 0
    for grapheme in iter_graphemes(line):
        if end + len(grapheme) > length:
            break
        end += len(grapheme)
    return line[: end or length]

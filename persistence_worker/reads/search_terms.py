"""The terms of a search, and the snippet of a message around the first match. No I/O.

Both databases index the English stem of every word, of stop words too: `talking` matches `talks`, `the` matches `the`.
Words of other languages are stemmed in the same way in the index and in the query, so that they match as well.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

TERMS_MAX = 10  # of a query; further words are ignored
LENGTH_MAX = 64  # characters of a term; the rest of a word is ignored
STEM_MIN = 3  # characters that two words with the same stem have in common, except in rare cases
AROUND = 80  # code points of a snippet before and after the first match

_WORD = re.compile(r"[^\W_]+")


def terms(query: str) -> list[str]:
    """Return the words of a query in lower case, without duplicates."""
    found = (word[:LENGTH_MAX] for word in _WORD.findall(query.lower()))
    return list(dict.fromkeys(found))[:TERMS_MAX]


def fts5_query(wanted: Sequence[str]) -> str:
    """Return the query for SQLite's FTS5 that matches texts with all terms."""
    return " AND ".join(f'"{word}"' for word in wanted)


def snippet(content: str, wanted: Sequence[str]) -> str:
    """Return one line of text around the first match: a word that equals a term, or begins like it."""
    lowered = content.lower()
    positions = [position for word in wanted if (position := _position(lowered, word)) >= 0]
    first = min(positions, default=0)
    begin, end = max(first - AROUND, 0), min(first + AROUND, len(content))
    text = " ".join(content[begin:end].split())
    return f"{'…' if begin else ''}{text}{'…' if end < len(content) else ''}"


def _position(lowered: str, word: str) -> int:
    for length in range(len(word), min(len(word), STEM_MIN) - 1, -1):
        found = re.search(rf"(?<![^\W_]){re.escape(word[:length])}", lowered)
        if found is not None:
            return found.start()
    return -1

"""The words of a search: what is looked for, and what of a message is shown around it. No I/O.

Both databases keep every word by its English stem, which leaves other languages' words as they are or shortens both
sides alike: `talking` finds `talks`, `the` finds `the`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

WORDS_MAX = 10  # of a query; what follows is passed over
LENGTH_MAX = 64  # characters of a word that count
STEM_MIN = 3  # characters that a word and another with its stem have in common, as good as always
AROUND = 80  # code points of a snippet before and after the first word

_WORD = re.compile(r"[^\W_]+")


def words(query: str) -> list[str]:
    """The words of a query, each once, in small letters."""
    found = (word[:LENGTH_MAX] for word in _WORD.findall(query.lower()))
    return list(dict.fromkeys(found))[:WORDS_MAX]


def match(wanted: Sequence[str]) -> str:
    """For SQLite's FTS5: every word."""
    return " AND ".join(f'"{word}"' for word in wanted)


def snippet(content: str, wanted: Sequence[str]) -> str:
    """Plain text in one line around the first word that is found, as it is written or at least as it begins."""
    lowered = content.lower()
    places = [place for word in wanted if (place := _place(lowered, word)) >= 0]
    first = min(places, default=0)
    begin, end = max(first - AROUND, 0), min(first + AROUND, len(content))
    text = " ".join(content[begin:end].split())
    return f"{'…' if begin else ''}{text}{'…' if end < len(content) else ''}"


def _place(lowered: str, word: str) -> int:
    for length in range(len(word), min(len(word), STEM_MIN) - 1, -1):
        found = re.search(rf"(?<![^\W_]){re.escape(word[:length])}", lowered)
        if found is not None:
            return found.start()
    return -1

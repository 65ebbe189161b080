"""The terms of a search in the syntax of both databases, and the snippet of a message. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from persistence_worker.domain.search_words import STEM_MIN, fold, pairs, pieces, stem

WORDS_MAX = 10  # of a query; further words are ignored
TERMS_MAX = 64  # of a query: words, and pairs of characters
AROUND = 80  # code points of a snippet before and after the first match


@dataclass(frozen=True, slots=True)
class SearchTerms:
    """What the words of a message must contain.

    Attributes:
        words: stems and pairs of characters.
        prefixes: beginnings of words: single characters of scripts without spaces.
        runs: pairs of characters that follow each other, separated by spaces.
        literal: the words of the query as they were typed, folded.
    """

    words: tuple[str, ...]
    prefixes: tuple[str, ...]
    runs: tuple[str, ...]
    literal: tuple[tuple[str, bool], ...]

    def __bool__(self) -> bool:
        return bool(self.words or self.prefixes)

    def fts5(self) -> str:
        """Return the query for SQLite's FTS5."""
        return " AND ".join([*(f'"{word}"' for word in self.words), *(f'"{start}" *' for start in self.prefixes)])

    def tsquery(self) -> str:
        """Return the query for PostgreSQL: no character of a word has a meaning in its syntax."""
        return " & ".join([*(f"'{word}'" for word in self.words), *(f"'{start}':*" for start in self.prefixes)])


def terms(query: str) -> SearchTerms:
    """Return the terms of a query, without duplicates."""
    literal = list(dict.fromkeys(pieces(query)))[:WORDS_MAX]
    words: list[str] = []
    prefixes: list[str] = []
    runs: list[str] = []
    for piece, is_run in literal:
        if not is_run:
            words.append(stem(piece))
        elif len(piece) == 1:
            prefixes.append(piece)
        else:
            words += pairs(piece)
            runs += [" ".join(pairs(piece))] if len(piece) > 2 else []
    return SearchTerms(_distinct(words), _distinct(prefixes), _distinct(runs), tuple(literal))


def _distinct(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found))[:TERMS_MAX]


class _FoldedCharacters(dict[str, str]):
    """The folded form of each character."""

    def __missing__(self, char: str) -> str:
        self[char] = folded = fold(char)
        return folded


_CHARACTERS = _FoldedCharacters()


def snippet(content: str, wanted: SearchTerms) -> str:
    """Return one line of text around the first match: a word that equals a term, or begins like it."""
    folded = [_CHARACTERS[char] for char in content]
    text = "".join(folded)
    positions = [place for piece, is_run in wanted.literal if (place := _position(text, piece, is_run=is_run)) >= 0]
    first = _index(folded, min(positions, default=0))
    begin, end = max(first - AROUND, 0), min(first + AROUND, len(content))
    shown = " ".join(content[begin:end].split())
    return f"{'…' if begin else ''}{shown}{'…' if end < len(content) else ''}"


def _index(folded: Sequence[str], position: int) -> int:
    """Return the index of the character whose folded form is at a position of the folded text."""
    for n, piece in enumerate(folded):
        position -= len(piece)
        if position < 0:
            return n
    return 0


def _position(text: str, piece: str, *, is_run: bool) -> int:
    if is_run:
        return text.find(piece)
    for length in range(len(piece), min(len(piece), STEM_MIN) - 1, -1):
        found = f" {text}".find(f" {piece[:length]}")
        if found >= 0:
            return found
    return -1

"""Finds the passages that cover a question, with SQLite's FTS5 in memory, ranked by BM25."""

from __future__ import annotations

import math
import re
import sqlite3
import threading
from collections.abc import Iterable, Sequence

from chatbot_worker.kinds.retrieval.passages import Passage

TERMS_MAX = 32  # of a question: the longest ones
CANDIDATES = 12  # passages whose coverage is computed
HEADING_WEIGHT, TEXT_WEIGHT = 4.0, 1.0
COVERED = 0.5  # share of a question's terms, weighted by rarity, that a passage must contain
WORD = re.compile(r"\w+")
COMMON = frozenset(  # English words that do not describe the subject of a question
    WORD.findall(
        """
        a about an and any are as at be but by can could did do does for from get give had has have hello
        hey hi how i if in into is it its like many may me might much must my need no not of off on or our
        please say shall should so some tell than thank thanks that the their them then there these they
        this those to too us want was we were what when where which who whom whose why will with would yes
        you your
        """
    )
)
FIND = """
SELECT rowid, source, heading, text FROM passages WHERE passages MATCH ?
ORDER BY bm25(passages, 0, ?, ?), rowid LIMIT ?
"""
HOLDING = "SELECT rowid FROM passages WHERE passages MATCH ?"


class Index:
    """An index of passages. Building and searching block: call both in a thread."""

    def __init__(self, passages: Iterable[Passage]) -> None:
        self._lock = threading.Lock()
        self._database, self.size = _filled(passages)

    def replace(self, passages: Iterable[Passage]) -> None:
        """Replace all passages. Searches use the previous ones until the new ones are indexed.

        Raises:
            Exception: raised while the passages are read; the index is unchanged then.
        """
        database, size = _filled(passages)
        with self._lock:
            database, self._database = self._database, database
            self.size = size
        database.close()

    def close(self) -> None:
        """Free the memory."""
        with self._lock:
            self._database.close()

    def search(self, question: str, most: int) -> list[Passage]:
        """Return the passages that fit a question, the best first. Passages that cover too little of it are omitted."""
        terms = asked_for(question)
        if not terms:
            return []
        with self._lock:
            any_of = " OR ".join(map(_quoted, terms))
            found = self._database.execute(FIND, (any_of, HEADING_WEIGHT, TEXT_WEIGHT, CANDIDATES)).fetchall()
            covered = self._covered(terms, [row[0] for row in found])
        return [Passage(*row[1:]) for row in found if covered[row[0]] >= COVERED][:most]

    def _covered(self, terms: Sequence[str], rows: Sequence[int]) -> dict[int, float]:
        """Return the share of the terms in each row, from 0 to 1. A rare term has a higher weight."""
        total = 0.0
        found = dict.fromkeys(rows, 0.0)
        for term in terms:
            holding = {row for (row,) in self._database.execute(HOLDING, (_quoted(term),))}
            weight = math.log(1 + (self.size - len(holding) + 0.5) / (len(holding) + 0.5))
            total += weight
            for row in holding & found.keys():
                found[row] += weight
        return {row: weight / total for row, weight in found.items()}


def _filled(passages: Iterable[Passage]) -> tuple[sqlite3.Connection, int]:
    """Return a database of passages, and their number."""
    database = sqlite3.connect(":memory:", check_same_thread=False)
    try:
        database.execute(
            "CREATE VIRTUAL TABLE passages"
            " USING fts5(source UNINDEXED, heading, text, tokenize='porter unicode61 remove_diacritics 2')"
        )
        rows = ((passage.source, passage.heading, passage.text) for passage in passages)
        database.executemany("INSERT INTO passages VALUES (?, ?, ?)", rows)
        return database, database.execute("SELECT count(*) FROM passages").fetchone()[0]
    except BaseException:
        database.close()
        raise


def asked_for(question: str) -> list[str]:
    """Return the words of a question that describe its subject, the longest first."""
    words = dict.fromkeys(word for word in map(str.lower, WORD.findall(question)) if word not in COMMON)
    return sorted(words, key=len, reverse=True)[:TERMS_MAX]


def _quoted(term: str) -> str:
    """Quote a term as a string of FTS5, without operators."""
    return '"' + term.replace('"', '""') + '"'

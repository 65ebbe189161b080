"""Splits English text into clauses of words, and reflects sentences ("I am" becomes "you are"). Pure.

Everything works on whole words, never on parts of words, and in time linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

HEARD_MAX = 2_000  # characters at the end of a message that are used

TOKEN = re.compile(r"(?P<word>[^\W_]+(?:['-][^\W_]+)*)|(?P<stop>[.!?;:,\n()\[\]\"\u2026\u2013\u2014]+)")
APOSTROPHES = str.maketrans("\u2018\u2019\u02bc\u00b4`", "'''''")
SUM = re.compile(r"\d\s{0,3}(?:[+*\u00d7\u00f7^]\s{0,3}\d|=)|\d\s{1,3}[-/]\s{1,3}\d")  # not 24/7, not a date

SWAPPED = {
    "i": "you",
    "me": "you",
    "my": "your",
    "mine": "yours",
    "myself": "yourself",
    "your": "my",
    "yours": "mine",
    "yourself": "myself",
    "am": "are",
}
VERB_OF = {"are": "am", "were": "was", "aren't": "am not", "weren't": "wasn't"}  # with "I" as its subject
VERB_OF_YOU = {"am": "are", "was": "were", "wasn't": "weren't"}  # with "you"
_AUXILIARIES = """are were do did don't didn't can can't could couldn't will won't would wouldn't should shouldn't have
    had haven't hadn't must may might that if when while because whether why how where what since until"""
_AFTER_SUBJECT = """are aren't were weren't do don't did didn't can can't could couldn't will won't would wouldn't
    should shouldn't have haven't had hadn't must may might think thought know knew feel felt want wanted like liked
    love hate need say said says mean meant understand remember told asked answer never always really just still only
    seem look ever make made keep kept give gave get got believe see saw hear heard live work talk talked speak sound"""
_NO_VERBS = "and or too because when so very at in on with for to as about again now then here there all"
AUXILIARIES = frozenset(_AUXILIARIES.split())  # before "you" as a subject
AFTER_SUBJECT = frozenset(_AFTER_SUBJECT.split())  # after "you" as a subject
NO_VERBS = frozenset(["", *_NO_VERBS.split()])  # after "you" as an object, at the start


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it is compared (`low`) and as it is repeated in an answer (`shown`)."""

    low: str
    shown: str


Clause = Sequence[Word]


@dataclass(frozen=True, slots=True)
class Heard:
    """A message, split into clauses."""

    clauses: Sequence[Clause]
    sum: bool  # it contains a calculation
    foreign: bool  # words, but none in Latin letters

    @property
    def gist(self) -> tuple[str, ...]:
        """All words, to detect a repeated message."""
        return tuple(word.low for clause in self.clauses for word in clause)


def hear(text: str, replace: Mapping[str, Sequence[str]]) -> Heard:
    """Split text at punctuation, line ends and "but"; words in `replace` become the words it gives."""
    text = unicodedata.normalize("NFKC", text[-HEARD_MAX:]).translate(APOSTROPHES)
    shouted = text.isupper()
    clauses: list[list[Word]] = [[]]
    starts = True
    for token in TOKEN.finditer(text):
        shown = token["word"]
        if shown is None:
            clauses.append([])
            starts = starts or token["stop"] != ","
            continue
        low = shown.lower()
        if low == "but":
            clauses.append([])
        elif low in replace:
            clauses[-1].extend(_word(each) for each in replace[low])
        else:
            clauses[-1].append(_word(low) if starts or shouted else Word(low, shown))
        starts = False
    found = [clause for clause in clauses if clause]
    letters = any(word.low[0].isalpha() for clause in found for word in clause)
    latin = any("a" <= character <= "z" for clause in found for word in clause for character in word.low)
    return Heard(found, SUM.search(text) is not None, letters and not latin)


def _word(low: str) -> Word:
    return Word(low, "I" if low == "i" else low)


def reflect(words: Clause) -> str:
    """Exchange first and second person: "I am afraid of you" becomes "you are afraid of me"."""
    said: list[str] = []
    for place, word in enumerate(words):
        before = words[place - 1].low if place else ""
        after = words[place + 1].low if place + 1 < len(words) else ""
        said.append(_reflected(word, before, after, is_first=place == 0))
    return " ".join(said)


def _reflected(word: Word, before: str, after: str, *, is_first: bool) -> str:
    low = word.low
    if low == "you":
        return "I" if _is_subject(before, after, is_first=is_first) else "me"
    if low in VERB_OF and (before == "you" or after == "you"):
        return VERB_OF[low]
    if low in VERB_OF_YOU and (before == "i" or after == "i"):
        return VERB_OF_YOU[low]
    return SWAPPED.get(low, word.shown)


def _is_subject(before: str, after: str, *, is_first: bool) -> bool:
    return after in AFTER_SUBJECT or before in AUXILIARIES or (is_first and after not in NO_VERBS)

"""ELIZA's script: keywords with ranks, decompositions and reassemblies, read from TOML and checked whole. Pure.

A decomposition (`match`) is a row of words: `*` any words or none, `+` one word at least, `a|b` one of
these, `@family` one of a class, anything else that very word. A reassembly (one line of `say`) names
parts of it by their place, `(3)` the third. `goto` hands over to another keyword.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from chatbot_worker.kinds.eliza.language import Clause

PLACE = re.compile(r"\((\d+)\)")
WILDCARDS = {"*": 0, "+": 1}  # words at least
MOODS = ("none", "wordless", "foreign", "sums", "again")


class ScriptError(ValueError):
    """The script contradicts itself; the message names the keyword and the rule."""


@dataclass(frozen=True, slots=True)
class Line:
    """A reassembly: text, and places of the decomposition in between (from 1)."""

    parts: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """Words that stand together, after a gap of at least `gap` words (`None`: right at the start)."""

    gap: int | None
    words: tuple[frozenset[str], ...]


@dataclass(frozen=True, slots=True)
class Decomposition:
    """A pattern. `tail` is the least number of words after its last piece; `None`: it ends there."""

    text: str
    pieces: tuple[Piece, ...]
    tail: int | None

    def match(self, clause: Clause) -> list[Clause] | None:
        """What each place of the pattern holds; each gap as short as can be, so one pass is enough."""
        held: list[Clause] = []
        at = 0
        for number, piece in enumerate(self.pieces):
            is_last = self.tail is None and number == len(self.pieces) - 1
            start = _find(piece, clause, at, at_end=is_last)
            if start is None:
                return None
            if piece.gap is not None:
                held.append(clause[at:start])
            at = start + len(piece.words)
            held.extend([word] for word in clause[start:at])
        if self.tail is None:
            return held if at == len(clause) else None
        if len(clause) - at < self.tail:
            return None
        return [*held, clause[at:]]


def _find(piece: Piece, clause: Clause, at: int, *, at_end: bool) -> int | None:
    last = len(clause) - len(piece.words)
    first = at + (piece.gap or 0)
    if piece.gap is None:
        starts = range(at, min(at, last) + 1)
    elif at_end:
        starts = range(max(first, last), last + 1)
    else:
        starts = range(first, last + 1)
    for start in starts:
        if all(clause[start + place].low in words for place, words in enumerate(piece.words)):
            return start
    return None


@dataclass(frozen=True, slots=True)
class Rule:
    """Where `match` fits, one of `lines` in turn, or over to the keyword `goto`. `name` is its own."""

    name: str
    match: Decomposition
    lines: tuple[Line, ...]
    goto: str | None


@dataclass(frozen=True, slots=True)
class Keyword:
    """A word worth answering to; the highest `rank` of a message is answered."""

    name: str
    rank: int
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """A whole script. `keywords` by the words that call them; `memory` makes remarks for later answers."""

    replace: Mapping[str, tuple[str, ...]]
    keywords: Mapping[str, Keyword]
    by_name: Mapping[str, Keyword]
    memory_word: str
    memory: tuple[Rule, ...]
    moods: Mapping[str, Rule]


class _RuleEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    match: str = Field(min_length=1)
    say: list[str] = []
    goto: str | None = None


class _KeywordEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rank: int
    words: list[str] = Field(min_length=1)
    rule: list[_RuleEntry] = Field(min_length=1)


class _MemoryEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    word: str
    rule: list[_RuleEntry] = Field(min_length=1)


class _ScriptEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    replace: dict[str, str]
    classes: dict[str, list[str]]
    moods: dict[str, list[str]]
    memory: _MemoryEntry
    keyword: dict[str, _KeywordEntry]


def parse(text: str) -> Script:
    """The script that TOML text holds.

    Raises:
        ScriptError: a class, place or keyword that is named does not exist, or a rule can never be reached.
        ValueError: not the form of a script.
    """
    entry = _ScriptEntry.model_validate(tomllib.loads(text))
    classes = {name: frozenset(words) for name, words in entry.classes.items()}
    by_name = {
        name: Keyword(name, each.rank, _rules(name, each.rule, classes, entry.keyword))
        for name, each in entry.keyword.items()
    }
    if missing := set(MOODS) - set(entry.moods):
        raise ScriptError(f"moods: no {', '.join(sorted(missing))}")
    return Script(
        replace={word: tuple(words.split()) for word, words in entry.replace.items()},
        keywords=_by_word(entry.keyword, classes, by_name),
        by_name=by_name,
        memory_word=entry.memory.word,
        memory=_rules("memory", entry.memory.rule, classes, entry.keyword),
        moods={
            name: Rule(name, _decomposition("*", classes), _lines(name, says, 1), None)
            for name, says in entry.moods.items()
        },
    )


def _by_word(
    entries: Mapping[str, _KeywordEntry], classes: Mapping[str, frozenset[str]], by_name: Mapping[str, Keyword]
) -> dict[str, Keyword]:
    found: dict[str, Keyword] = {}
    for name, entry in entries.items():
        for item in entry.words:
            for word in sorted(_alternatives(item, classes, name)):
                if word in found:
                    raise ScriptError(f"{name}: the word {word} calls {found[word].name} already")
                found[word] = by_name[name]
    return found


def _rules(
    name: str,
    entries: Sequence[_RuleEntry],
    classes: Mapping[str, frozenset[str]],
    keywords: Mapping[str, Any],
) -> tuple[Rule, ...]:
    rules = []
    for number, entry in enumerate(entries, 1):
        label = f"{name}.{number}"
        if number > 1 and entries[number - 2].match == "*":
            raise ScriptError(f"{label}: never reached, the rule before it matches everything")
        if entry.goto is not None and entry.goto not in keywords:
            raise ScriptError(f"{label}: goto {entry.goto}: no such keyword")
        if bool(entry.say) == (entry.goto is not None):
            raise ScriptError(f"{label}: either say or goto")
        match = _decomposition(entry.match, classes, label)
        places = len(entry.match.split())
        rules.append(Rule(label, match, _lines(label, entry.say, places), entry.goto))
    return tuple(rules)


def _decomposition(text: str, classes: Mapping[str, frozenset[str]], label: str = "") -> Decomposition:
    pieces: list[Piece] = []
    gap: int | None = None
    words: list[frozenset[str]] = []
    for item in text.split():
        if item not in WILDCARDS:
            words.append(_alternatives(item, classes, label))
            continue
        if words:
            pieces.append(Piece(gap, tuple(words)))
        elif gap is not None:
            raise ScriptError(f"{label}: two wildcards side by side")
        gap, words = WILDCARDS[item], []
    if words:
        return Decomposition(text, (*pieces, Piece(gap, tuple(words))), None)
    return Decomposition(text, tuple(pieces), gap)


def _alternatives(item: str, classes: Mapping[str, frozenset[str]], label: str) -> frozenset[str]:
    words: set[str] = set()
    for word in item.split("|"):
        if not word.startswith("@"):
            words.add(word)
        elif word[1:] in classes:
            words |= classes[word[1:]]
        else:
            raise ScriptError(f"{label}: no class {word}")
    return frozenset(words)


def _lines(label: str, says: Sequence[str], places: int) -> tuple[Line, ...]:
    lines = []
    for say in says:
        split = PLACE.split(say)  # text, place, text, place, … text
        parts = tuple(int(part) if number % 2 else part for number, part in enumerate(split) if part)
        if any(isinstance(part, int) and not 1 <= part <= places for part in parts):
            raise ScriptError(f"{label}: a place that its match does not have, in: {say}")
        lines.append(Line(parts))
    return tuple(lines)

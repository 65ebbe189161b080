"""Runs Weizenbaum's procedure of 1966 on a script (CACM 9(1), 36-45). Pure and deterministic.

A conversation has two pieces of state: how often each rule was used (its lines alternate), and remarks for later. A
worker keeps no state between turns, so both are computed from the messages of the conversation for each turn.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from chatbot_worker.kinds.eliza.language import Clause, Heard, hear, reflect
from chatbot_worker.kinds.eliza.script import Keyword, Line, Rule, Script

SAID_BACK_MAX = 14  # words that an answer may repeat
MEMORY_MAX = 12  # remarks
GOTO_MAX = 8  # `goto`s in one answer

SPACES = re.compile(r"\s+")
BEFORE_STOP = re.compile(r" (?=[.,!?;:])")


class Conversation:
    """One conversation. Messages are answered in order; `seed` selects the first line of each rule."""

    def __init__(self, script: Script, seed: int) -> None:
        self._script = script
        self._seed = seed
        self._spoken: dict[str, int] = {}
        self._memory: deque[str] = deque(maxlen=MEMORY_MAX)
        self._last: tuple[str, ...] = ()

    def answer(self, text: str) -> str:
        """Return the answer to a message."""
        heard = hear(text, self._script.replace)
        mood = self._what_strikes_her(heard)
        self._last = heard.gist
        if mood is not None:
            return self._mood(mood)
        for clause in self._by_rank(heard):
            said = self._to_clause(clause)
            if said is not None:
                self._remember(clause, said)
                return said
        return self._memory.popleft() if self._memory else self._mood("none")

    def _what_strikes_her(self, heard: Heard) -> str | None:
        """Return the mood that takes precedence over keywords, if there is one."""
        if not heard.clauses:
            return "wordless"
        if heard.gist == self._last and len(heard.gist) > 1:
            return "again"
        if heard.foreign:
            return "foreign"
        return "sums" if heard.sum else None

    def _by_rank(self, heard: Heard) -> Iterable[Clause]:
        """Return the clauses with a keyword, the highest rank first, of equal ranks the latest."""
        ranked = [(max(k.rank for k in found), clause) for clause in heard.clauses if (found := self._keywords(clause))]
        ranked.reverse()  # sorting keeps the order of equals
        return (clause for _, clause in sorted(ranked, key=lambda pair: -pair[0]))

    def _keywords(self, clause: Clause) -> list[Keyword]:
        """Return the keywords of a clause, the highest rank first, of equal ranks the first."""
        calls = self._script.keywords
        found = dict.fromkeys(keyword.name for word in clause if (keyword := calls.get(word.low)))
        return sorted((self._script.by_name[name] for name in found), key=lambda keyword: -keyword.rank)

    def _to_clause(self, clause: Clause) -> str | None:
        for keyword in self._keywords(clause):
            said = self._to_keyword(keyword, clause)
            if said is not None:
                return said
        return None

    def _to_keyword(self, keyword: Keyword, clause: Clause, handed: int = 0) -> str | None:
        for rule in keyword.rules:
            held = rule.match.match(clause)
            if held is None:
                continue
            if rule.goto is not None:
                return (
                    self._to_keyword(self._script.by_name[rule.goto], clause, handed + 1) if handed < GOTO_MAX else None
                )
            said = self._speak(rule, held)
            if said is not None:
                return said
        return None

    def _speak(self, rule: Rule, held: Sequence[Clause]) -> str | None:
        """Return the next line of a rule that can be assembled from the parts of the message."""
        lines = rule.lines
        turn = self._spoken.get(rule.name, self._seed)
        for step in range(len(lines)):
            said = _assemble(lines[(turn + step) % len(lines)], held)
            if said is not None:
                self._spoken[rule.name] = turn + step + 1
                return said
        return None

    def _mood(self, name: str) -> str:
        return self._speak(self._script.moods[name], [[]]) or ""

    def _remember(self, clause: Clause, said: str) -> None:
        if all(word.low != self._script.memory_word for word in clause):
            return
        for rule in self._script.memory:
            held = rule.match.match(clause)
            if held is not None and (remark := self._speak(rule, held)) is not None:
                if remark != said:
                    self._memory.append(remark)
                return


def _assemble(line: Line, held: Sequence[Clause]) -> str | None:
    """Fill the places of a line; `None` if a part is empty or too long to be repeated."""
    said: list[str] = []
    for part in line.parts:
        if isinstance(part, str):
            said.append(part)
            continue
        words = held[part - 1]
        if not 0 < len(words) <= SAID_BACK_MAX:
            return None
        said.append(reflect(words))
    text = BEFORE_STOP.sub("", SPACES.sub(" ", "".join(said)).strip())
    return text[:1].upper() + text[1:]


def converse(script: Script, seed: int, groups: Iterator[str]) -> str:
    """Return the answer to the last of `groups`, each of which holds the messages between two answers."""
    conversation = Conversation(script, seed)
    said = ""
    for text in groups:
        said = conversation.answer(text)
    return said

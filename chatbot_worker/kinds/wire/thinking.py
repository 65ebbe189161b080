"""Separates reasoning from the answer in text that contains both, wherever the text is cut into pieces. Pure.

Endpoints without a reasoning parser send both in `content`. Known forms:

- a block between tags, `<think>…</think>` and the tags of other model families; usually first, sometimes repeated;
- only the closing tag, because the chat template has opened the block in the prompt;
- the channels of gpt-oss (harmony), of which only `final` is the answer.

A tag in Markdown code is text: the answer may be about such tags.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto

from chatbot_worker.chatbots.protocol import Correction, Piece, Reasoning
from chatbot_worker.kinds.wire.code_spans import CodeSpans

PAIRS = {  # opening tag → closing tag, in lower case
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "<seed:think>": "</seed:think>",
    "[think]": "[/think]",
    "◁think▷": "◁/think▷",
    "<|start_thinking|>": "<|end_thinking|>",
    "<|channel>thought": "<channel|>",
}
ANYWHERE = frozenset({"<think>", "[think]", "◁think▷"})  # openings that also count behind the beginning of the text
ALONE = frozenset(PAIRS.values()) - {"</thought>", "</reasoning>"}  # closings that count without an opening
HARMONY = frozenset({"<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>", "<|call|>", "<|constrain|>"})
MARKERS = frozenset(PAIRS) | frozenset(PAIRS.values()) | HARMONY
MARKER = re.compile("|".join(map(re.escape, sorted(MARKERS, key=len, reverse=True))), re.IGNORECASE)
PREFIXES = frozenset(marker[:length] for marker in MARKERS for length in range(1, len(marker)))
LONGEST = max(map(len, MARKERS))
FIRST = re.compile(r"[<\[◁]")
ENVELOPE = re.compile(r"(?:<\|end\|>)?\s*(?:<\|start\|>assistant)?\s*\Z", re.IGNORECASE)  # before a harmony channel


class State(Enum):
    """What the text at the current position is."""

    BEGINNING = auto()  # nothing but white space so far
    ANSWER = auto()
    REASONING = auto()
    MAYBE = auto()  # after an opening tag within the answer: reasoning if the tag is closed
    HEADER = auto()  # of a harmony message


class Splitter:
    """Separates the text of one reply. `feed` and `end` return pieces of the reply.

    Args:
        opened: the text begins with reasoning, as far as known from earlier replies. If no closing tag follows, or
            reasoning comes apart from the text, all of the text is the answer after all.
    """

    def __init__(self, *, opened: bool = False) -> None:
        self.closed_alone = False  # a closing tag came without an opening one
        self._state = State.REASONING if opened else State.BEGINNING
        self._assumed = opened  # no tag has confirmed that the text begins with reasoning
        self._closing: frozenset[str] = ALONE
        self._rest = ""  # the beginning of a marker, or white space at the beginning
        self._held: list[str] = []  # of the state MAYBE, with its tag
        self._answer: list[str] = []
        self._code = CodeSpans()  # of the answer
        self._reasoning: list[str] = []
        self._had_block = False
        self._trim = False  # white space before the next text is left out
        self._harmony = False
        self._header = ""

    @property
    def plain(self) -> bool:
        """Whether the text so far has only answer in it, and nothing is held back."""
        return self._state is State.ANSWER and not self._rest and not self._trim

    def feed(self, text: str) -> list[Piece]:
        """Return what the text adds to the reply."""
        if self.plain and FIRST.search(text) is None:
            return [self._answered(text)]
        return _merged(self._take(self._rest + text))

    def add_reasoning(self, text: str) -> list[Piece]:
        """Return what reasoning adds that came apart from the text: an endpoint that separates it opens no block."""
        pieces = self._take_back() if self._assumed else []
        self._reasoning.append(text)
        return [*pieces, Reasoning(text)]

    def end(self, *, cut: bool = False) -> list[Piece]:
        """Return what has been held back. `cut`: the model reached its limit, perhaps within its reasoning."""
        rest, self._rest = self._rest, ""
        pieces = list(self._emit(rest)) if rest.strip() else []
        if self._state is State.MAYBE:
            held, self._held = "".join(self._held), []
            pieces.append(self._answered(held))
        elif self._assumed and not cut:
            pieces = self._take_back()
        return _merged(pieces)

    def _take(self, text: str) -> Iterator[Piece]:
        self._rest = ""
        place = 0
        for found in MARKER.finditer(text):
            yield from self._emit(text[place : found.start()])
            place = found.end()
            yield from self._mark(found[0])
        text = text[place:]
        kept = len(text) - _open_end(text)
        if self._state is State.BEGINNING and not text[:kept].strip():
            kept = 0  # white space before a tag is no text
        self._rest = text[kept:]
        yield from self._emit(text[:kept])

    def _emit(self, text: str) -> Iterator[Piece]:
        """Return text in the current state."""
        if self._trim:
            text = text.lstrip()
            self._trim = not text
        if not text:
            return
        if self._state is State.BEGINNING:
            if not text.strip():
                return
            self._state = State.ANSWER
        if self._state is State.ANSWER:
            yield self._answered(text)
        elif self._state is State.REASONING:
            self._reasoning.append(text)
            yield Reasoning(text)
        elif self._state is State.MAYBE:
            self._held.append(text)
        else:
            self._header += text

    def _answered(self, text: str) -> str:
        self._answer.append(text)
        self._code.feed(text)
        return text

    def _mark(self, raw: str) -> Iterator[Piece]:
        """Handle a marker. One without a meaning at this position is text."""
        marker = raw.lower()
        if marker in HARMONY and (self._harmony or self._begins_harmony(marker)):
            yield from self._switch_channel(marker)
        elif self._state is State.REASONING:
            if self._assumed and marker in PAIRS and not any(map(str.strip, self._reasoning[:9])):
                self._assumed, self._closing = False, frozenset({PAIRS[marker]})
            elif marker in self._closing and not _ends_in_backtick(self._reasoning):
                self._close()
            else:
                yield from self._emit(raw)
        elif self._state is State.MAYBE:
            yield from self._within_block(raw, marker)
        elif marker in PAIRS and self._state is State.BEGINNING:
            self._open(marker)
        elif self._code.inside or marker in HARMONY:
            yield from self._emit(raw)
        elif marker in ANYWHERE:
            self._state, self._held, self._closing = State.MAYBE, [raw], frozenset({PAIRS[marker]})
        elif marker in ALONE:
            yield from self._close_alone()
        else:
            yield from self._emit(raw)

    def _take_back(self) -> list[Piece]:
        """Return the text so far as the answer, because no block was open at its beginning."""
        content = "".join(self._reasoning)
        self._reasoning.clear()
        self._assumed, self._state = False, State.ANSWER if content.strip() else State.BEGINNING
        return [Correction(self._answered(content), "")] if content else []

    def _open(self, marker: str) -> None:
        self._state, self._trim, self._closing = State.REASONING, True, frozenset({PAIRS[marker]})

    def _close(self) -> None:
        self.closed_alone |= self._assumed
        self._assumed = False
        self._had_block = True
        self._state = State.ANSWER
        self._trim = not self._answer or self._answer[-1][-1:].isspace()

    def _close_alone(self) -> Iterator[Piece]:
        """Reclassify the text so far as reasoning, unless the reply has had a block: then the tag is a stray one."""
        if not self._had_block:
            self.closed_alone = True
            yield from self._reclassify()
        self._close()

    def _within_block(self, raw: str, marker: str) -> Iterator[Piece]:
        if marker not in self._closing:
            self._held.append(raw)
            return
        text = "".join(self._held[1:])
        self._held = []
        self._reasoning.append(text)
        yield Reasoning(text)
        self._close()

    def _reclassify(self) -> Iterator[Piece]:
        self._reasoning.extend(self._answer)
        self._answer.clear()
        self._code = CodeSpans()
        yield Correction("", "".join(self._reasoning))

    def _begins_harmony(self, marker: str) -> bool:
        if self._state is State.BEGINNING:
            return marker in ("<|start|>", "<|channel|>")
        return marker == "<|channel|>" and not self._code.inside

    def _switch_channel(self, marker: str) -> Iterator[Piece]:
        if not self._harmony:
            self._harmony = True
            if self._answer:  # the template has opened the first channel
                self._answer = [ENVELOPE.sub("", "".join(self._answer))]
                yield from self._reclassify()
        self._assumed = False
        if marker == "<|message|>":
            channel = self._header.split()[:1]
            self._state = State.ANSWER if channel == ["final"] else State.REASONING
            self._trim = True
        elif marker == "<|constrain|>":
            self._header += " "
        else:
            self._state, self._header = State.HEADER, ""


def _open_end(text: str) -> int:
    """Return the length of the end of a text that may be the beginning of a marker."""
    tail = text[-(LONGEST - 1) :]
    for found in FIRST.finditer(tail):
        if tail[found.start() :].lower() in PREFIXES:
            return len(tail) - found.start()
    return 0


def _ends_in_backtick(pieces: list[str]) -> bool:
    return bool(pieces) and pieces[-1].endswith("`")


def _merged(pieces: list[Piece] | Iterator[Piece]) -> list[Piece]:
    """Join adjacent pieces of one sort."""
    merged: list[Piece] = []
    for piece in pieces:
        last = merged[-1] if merged else None
        if isinstance(piece, str) and isinstance(last, str):
            merged[-1] = last + piece
        elif isinstance(piece, Reasoning) and isinstance(last, Reasoning):
            merged[-1] = Reasoning(last.text + piece.text)
        else:
            merged.append(piece)
    return merged

"""Splits documents into passages with their source and headings. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

PASSAGE_MAX = 900  # characters; a longer paragraph is split between lines, and a longer line is kept whole
HEADING = re.compile(r"(#{1,6})[ \t]+(.+?)[ \t]*#*")
FENCE = re.compile(r" {0,3}(```|~~~)")
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


class NoDocument(ValueError):
    """A file does not have the format of its name. The message is one line."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a document. `heading` is the path of its headings, the nearest last."""

    source: str
    heading: str
    text: str


def read_document(name: str, text: str) -> list[Passage]:
    """Return the passages of a file: a `.toml` file is a FAQ, any other file is Markdown.

    Raises:
        NoDocument: a `.toml` file is no FAQ.
    """
    return list(read_faq(name, text) if name.endswith(".toml") else read_markdown(name, text))


def read_markdown(source: str, text: str) -> Iterator[Passage]:
    """Yield passages of consecutive paragraphs under one heading, up to `PASSAGE_MAX` characters."""
    headings: list[str] = []
    gathered: list[str] = []
    for block in _blocks(FRONT_MATTER.sub("", text.replace("\r\n", "\n"))):
        heading = HEADING.fullmatch(block)
        full = sum(map(len, gathered)) + len(block) > PASSAGE_MAX
        if gathered and (heading or full):
            yield Passage(source, _path(headings), "\n\n".join(gathered))
            gathered = []
        if heading:
            level = len(heading[1])
            headings = [*headings[: level - 1], *[""] * (level - 1 - len(headings)), heading[2]]
        else:
            gathered.append(block)
    if gathered:
        yield Passage(source, _path(headings), "\n\n".join(gathered))


def read_faq(source: str, text: str) -> Iterator[Passage]:
    """Yield a passage for each `[[questions]]` table with `question` and `answer`.

    Raises:
        NoDocument: the file has no such tables.
    """
    try:
        entries = tomllib.loads(text).get("questions")
    except tomllib.TOMLDecodeError as error:
        raise NoDocument(f"{source}: {error}") from None
    if not isinstance(entries, list) or not entries:
        raise NoDocument(f"{source}: no [[questions]] in it")
    for number, entry in enumerate(entries, 1):
        yield Passage(source, _field(source, number, entry, "question"), _field(source, number, entry, "answer"))


def _path(headings: list[str]) -> str:
    return " / ".join(filter(None, headings))


def _field(source: str, number: int, entry: Any, name: str) -> str:
    value = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(value, str) or not value.strip():
        raise NoDocument(f"{source}: question {number}: {name} is missing")
    return value.strip()


def _blocks(text: str) -> Iterator[str]:
    """Yield paragraphs, headings and fenced code blocks."""
    lines: list[str] = []
    fence = ""
    for line in text.split("\n"):
        opening = FENCE.match(line)
        if fence:
            lines.append(line)
            fence = "" if opening and opening[1] == fence else fence
        elif opening:
            lines.append(line)
            fence = opening[1]
        elif HEADING.fullmatch(line) or not line.strip():
            yield from _joined(lines)
            lines = []
            if line.strip():
                yield line.strip()
        else:
            lines.append(line)
    yield from _joined(lines)


def _joined(lines: list[str]) -> Iterator[str]:
    """Yield the lines as one block, or as several where they exceed `PASSAGE_MAX`."""
    block = ""
    for line in lines:
        if block and len(block) + len(line) > PASSAGE_MAX:
            yield block
            block = ""
        block += f"\n{line}" if block else line
    if block.strip("\n"):
        yield block.strip("\n")

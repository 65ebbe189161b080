"""Reads the catalogue from TOML and validates all of it. Every error names its position in the file."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from chatbot_worker.catalogue import built_in
from chatbot_worker.catalogue.config_positions import Position, find_positions
from chatbot_worker.catalogue.definitions import Catalogue, Definition
from chatbot_worker.catalogue.entries import ChatbotEntry
from chatbot_worker.chatbots.prompt import Speaker
from chatbot_worker.chatbots.protocol import Bounded, Chatbot, Kind, Unusable
from chatbot_worker.kinds.registry import KINDS
from chatbot_worker.rules.window import Bounds
from shared.contracts.events import ChatbotCard, ContextWanted
from shared.contracts.turns import CONTEXT_BYTES_MAX

CHATBOTS_MAX = 1_000


class CatalogueError(ValueError):
    """The catalogue is invalid. The message names the position and the reason in one line."""


def load(path: Path | None, *, local_model: bool = False) -> Catalogue:
    """Load a catalogue.

    Args:
        path: of the file, whose modification time is the catalogue's; without one the built-in catalogue is loaded.
        local_model: whether the built-in catalogue begins with a local language model, where one can run.

    Raises:
        CatalogueError: the file cannot be read, or is invalid.
    """
    if path is None:
        return parse(built_in.listed(local_model=local_model), built_in.BUILT_IN_AT)
    try:
        text = path.read_text(encoding="utf-8")
        modified_at = datetime.fromtimestamp(path.stat().st_mtime_ns // 1_000_000 / 1000, UTC)
    except OSError as error:
        raise CatalogueError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CatalogueError(f"{path}: not UTF-8") from None
    try:
        return parse(text, modified_at)
    except CatalogueError as error:
        raise CatalogueError(f"{path}: {error}") from None


def parse(text: str, modified_at: datetime) -> Catalogue:
    """Parse the TOML text of a catalogue.

    Raises:
        CatalogueError: names the line, the chatbot's id where it has one, the field and the reason.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError(str(error)) from None
    tables = raw.pop("chatbots", None)
    if raw:
        raise CatalogueError(f"unknown: {', '.join(sorted(raw))}; chatbots stand under [[chatbots]]")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise CatalogueError("no [[chatbots]] in it")
    if len(tables) > CHATBOTS_MAX:
        raise CatalogueError(f"more than {CHATBOTS_MAX} chatbots")
    positions = find_positions(text, tables)
    found = [_entry(table, position) for table, position in zip(tables, positions, strict=True)]
    _check_together([entry for entry, _ in found], positions)
    chosen = next((entry for entry, _ in found if entry.default), found[0][0])
    definitions = [
        _define(entry, options, position, default=entry is chosen)
        for (entry, options), position in zip(found, positions, strict=True)
    ]
    return Catalogue(definitions, modified_at)


def _entry(table: dict[str, Any], position: Position) -> tuple[ChatbotEntry, BaseModel]:
    try:
        entry = ChatbotEntry.model_validate(table)
    except ValidationError as error:
        raise _wrong(position, error) from None
    try:
        kind = KINDS.get(entry.kind)
    except Unusable as error:
        raise CatalogueError(f"{position.of('kind')}: kind: {error}") from None
    if kind is None:
        raise CatalogueError(f'{position.of("kind")}: kind: "{entry.kind}" is none of {", ".join(sorted(KINDS))}')
    try:
        return entry, kind.options.model_validate(entry.options)
    except ValidationError as error:
        raise _wrong(position, error, "options") from None


def _wrong(position: Position, error: ValidationError, *around: str) -> CatalogueError:
    problem = error.errors(include_url=False, include_input=False)[0]
    path = (*around, *problem["loc"])
    return CatalogueError(f"{position.of(*path)}: {'.'.join(map(str, path))}: {problem['msg']}")


def _check_together(entries: Sequence[ChatbotEntry], positions: Sequence[Position]) -> None:
    seen: dict[str, Position] = {}
    default: Position | None = None
    ids = {entry.id for entry in entries}
    for entry, position in zip(entries, positions, strict=True):
        if entry.id in seen:
            raise CatalogueError(f"{position.of('id')}: id: taken by {seen[entry.id]}")
        seen[entry.id] = position
        if entry.default and default:
            raise CatalogueError(f"{position.of('default')}: default: {default} is the default already")
        default = default or (position if entry.default else None)
        if entry.fallback == entry.id or entry.fallback not in {None, *ids}:
            wrong = f'fallback: "{entry.fallback}" is no other chatbot of this catalogue'
            raise CatalogueError(f"{position.of('fallback')}: {wrong}")


def _define(entry: ChatbotEntry, options: BaseModel, position: Position, *, default: bool) -> Definition:
    kind: Kind = KINDS[entry.kind]
    try:
        chatbot = kind.make(options)
    except Unusable as error:
        raise CatalogueError(f"{position}: {error}") from None
    context, bounds = _context(entry, kind, chatbot)
    if context.summary and not isinstance(chatbot, Speaker):
        wrong = f'context.summary: "{entry.kind}" is no language model'
        raise CatalogueError(f"{position.of('context', 'summary')}: {wrong}")
    card = ChatbotCard(
        id=entry.id,
        name=entry.name,
        description=entry.description,
        default=default,
        immediate=kind.immediate,
        context=context,
        avatar=entry.avatar,
        suggestions=entry.suggestions,
    )
    return Definition(
        entry=entry,
        card=card,
        chatbot=chatbot,
        concurrency=entry.concurrency or kind.concurrency,
        bounds=bounds,
    )


def _context(entry: ChatbotEntry, kind: Kind, chatbot: Chatbot) -> tuple[ContextWanted, Bounds]:
    """Return the context of its turns, which is twice as large for summaries, and the bounds of its window."""
    messages = kind.context.messages if entry.context.messages is None else entry.context.messages
    size = kind.context.bytes if entry.context.bytes is None else entry.context.bytes
    own = chatbot.context_tokens if isinstance(chatbot, Bounded) else None
    tokens = min((most for most in (entry.context.tokens, own) if most is not None), default=None)
    if not entry.context.summary:
        return ContextWanted(messages=messages, bytes=size), Bounds(tokens)
    size = min(size, CONTEXT_BYTES_MAX // 2)
    return ContextWanted(messages=2 * messages, bytes=2 * size, summary=True), Bounds(tokens, messages, size)

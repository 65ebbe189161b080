"""The catalogue: which chatbots there are. Read from TOML text, checked whole, every error with its place."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from chatbot_worker.catalogue import built_in
from chatbot_worker.catalogue.config_positions import Place, places
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
    """The catalogue cannot be read; the message names the place and the reason in one line."""


def load(path: Path | None, *, local_model: bool = False) -> Catalogue:
    """The catalogue of a file, dated by the file's modification; the built-in list without one.

    `local_model`: whether that list is to begin with a local language model, where one can run.

    Raises:
        CatalogueError: it cannot be read, or something in it is wrong.
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
    """The catalogue that TOML text describes.

    Raises:
        CatalogueError: with the line, the chatbot's id where it has one, the field and the reason.
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
    at = places(text, tables)
    found = [_entry(table, place) for table, place in zip(tables, at, strict=True)]
    _check_together([entry for entry, _ in found], at)
    chosen = next((entry for entry, _ in found if entry.default), found[0][0])
    definitions = [
        _define(entry, options, place, default=entry is chosen)
        for (entry, options), place in zip(found, at, strict=True)
    ]
    return Catalogue(definitions, modified_at)


def _entry(table: dict[str, Any], place: Place) -> tuple[ChatbotEntry, BaseModel]:
    try:
        entry = ChatbotEntry.model_validate(table)
    except ValidationError as error:
        raise _wrong(place, error) from None
    try:
        kind = KINDS.get(entry.kind)
    except Unusable as error:
        raise CatalogueError(f"{place.of('kind')}: kind: {error}") from None
    if kind is None:
        raise CatalogueError(f'{place.of("kind")}: kind: "{entry.kind}" is none of {", ".join(sorted(KINDS))}')
    try:
        return entry, kind.options.model_validate(entry.options)
    except ValidationError as error:
        raise _wrong(place, error, "options") from None


def _wrong(place: Place, error: ValidationError, *around: str) -> CatalogueError:
    problem = error.errors(include_url=False, include_input=False)[0]
    path = (*around, *problem["loc"])
    return CatalogueError(f"{place.of(*path)}: {'.'.join(map(str, path))}: {problem['msg']}")


def _check_together(entries: Sequence[ChatbotEntry], at: Sequence[Place]) -> None:
    seen: dict[str, Place] = {}
    default: Place | None = None
    ids = {entry.id for entry in entries}
    for entry, place in zip(entries, at, strict=True):
        if entry.id in seen:
            raise CatalogueError(f"{place.of('id')}: id: taken by {seen[entry.id]}")
        seen[entry.id] = place
        if entry.default and default:
            raise CatalogueError(f"{place.of('default')}: default: {default} is the default already")
        default = default or (place if entry.default else None)
        if entry.fallback == entry.id or entry.fallback not in {None, *ids}:
            wrong = f'fallback: "{entry.fallback}" is no other chatbot of this catalogue'
            raise CatalogueError(f"{place.of('fallback')}: {wrong}")


def _define(entry: ChatbotEntry, options: BaseModel, place: Place, *, default: bool) -> Definition:
    kind: Kind = KINDS[entry.kind]
    try:
        chatbot = kind.make(options)
    except Unusable as error:
        raise CatalogueError(f"{place}: {error}") from None
    context, bounds = _context(entry, kind, chatbot)
    if context.summary and not isinstance(chatbot, Speaker):
        wrong = f'context.summary: "{entry.kind}" is no language model'
        raise CatalogueError(f"{place.of('context', 'summary')}: {wrong}")
    card = ChatbotCard(
        id=entry.id,
        name=entry.name,
        description=entry.description,
        default=default,
        immediate=kind.immediate,
        context=context,
    )
    return Definition(
        entry=entry,
        card=card,
        chatbot=chatbot,
        concurrency=entry.concurrency or kind.concurrency,
        bounds=bounds,
    )


def _context(entry: ChatbotEntry, kind: Kind, chatbot: Chatbot) -> tuple[ContextWanted, Bounds]:
    """What its turns are to bring, and what it is shown of that: for summaries turns bring twice as much."""
    messages = kind.context.messages if entry.context.messages is None else entry.context.messages
    size = kind.context.bytes if entry.context.bytes is None else entry.context.bytes
    own = chatbot.context_tokens if isinstance(chatbot, Bounded) else None
    tokens = min((most for most in (entry.context.tokens, own) if most is not None), default=None)
    if not entry.context.summary:
        return ContextWanted(messages=messages, bytes=size), Bounds(tokens)
    size = min(size, CONTEXT_BYTES_MAX // 2)
    return ContextWanted(messages=2 * messages, bytes=2 * size, summary=True), Bounds(tokens, messages, size)

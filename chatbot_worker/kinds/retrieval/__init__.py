"""The kind `retrieval`: answers from a folder of Markdown or a FAQ, with quotations and their sources.

`passages` splits documents, `index` finds passages. With a language model, the model answers from the passages; if it
fails they are quoted, and if no passage fits it is not called.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import structlog
from pydantic import Field, ValidationError

from chatbot_worker.chatbots.prompt import Speaker, Speech, asked_without_mention
from chatbot_worker.chatbots.protocol import Kind, LengthReached, Options, Piece, ReplyError, Resident, Turn, Unusable
from chatbot_worker.kinds.registry import KINDS
from chatbot_worker.kinds.retrieval.index import Index
from chatbot_worker.kinds.retrieval.passages import NoDocument, Passage, read_document
from chatbot_worker.kinds.wire.failures import misconfigured
from shared.contracts.events import ContextWanted

logger = structlog.get_logger(__name__)

SUFFIXES = (".md", ".markdown", ".txt", ".toml")
FILE_MAX = 4 * 1024 * 1024  # bytes
ALL_MAX = 256 * 1024 * 1024  # bytes of all files
CHECK_INTERVAL = 2.0  # seconds between two checks of the files
Signature = tuple[tuple[str, int, int, int], ...]
INSTRUCTION = (
    "Answer the question from the passages below and from nothing else, in a few sentences. "
    "If they do not answer it, say that you do not know."
)


class RetrievalOptions(Options):
    """The options of the kind `retrieval`."""

    path: Path = Field(description="A folder of Markdown (`.md`, `.txt`), or one file: Markdown, or a FAQ in TOML")
    passages: int = Field(default=3, ge=1, le=10, description="Maximum passages in an answer")
    nothing: str = Field(
        default="I find nothing about that in my documents.", min_length=1, description="Reply if no passage fits"
    )
    model: dict[str, Any] | None = Field(
        default=None, description="A language model: its `kind` (`local`, `openai`) and that kind's options"
    )


class Retrieval:
    """Quotes the passages that answer a question, or lets a language model answer from them."""

    def __init__(self, options: RetrievalOptions, model: Speaker | None) -> None:
        self._options = options
        self._model = model
        self._path = options.path.expanduser()
        self._index: Index | None = None
        self._seen: Signature = ()
        self._checked_at = 0.0
        self._building = asyncio.Lock()

    async def open(self) -> None:
        """Read the documents, so that the first turn need not wait, and open the language model."""
        if isinstance(self._model, Resident):
            await self._model.open()
        await self._ready()

    async def close(self) -> None:
        """Free the index, and close the language model."""
        if isinstance(self._model, Resident):
            await self._model.close()
        index, self._index = self._index, None
        if index is not None:
            await asyncio.to_thread(index.close)

    async def reply(self, turn: Turn) -> AsyncGenerator[Piece]:
        """Answer the unanswered messages from the documents."""
        question = asked_without_mention(turn)
        index = await self._ready()
        found = await asyncio.to_thread(index.search, question, self._options.passages)
        if not found:
            yield self._options.nothing
            return
        if self._model is not None:
            said = False
            try:
                async with aclosing(_said(self._model, question, found)) as pieces:
                    async for piece in pieces:
                        said |= isinstance(piece, str)
                        yield piece
                yield f"\n\n{_sources(found)}"
                return
            except LengthReached:
                yield f"\n\n{_sources(found)}"
                raise
            except ReplyError as error:
                if said:
                    raise
                logger.warning("language_model.failed", reason=error.reason, fallback="quotation")
        for number, passage in enumerate(found):
            yield ("\n\n" if number else "") + _quote(passage)

    async def _ready(self) -> Index:
        """Return the index, after a reload if the documents have changed since the last check."""
        index = self._index
        if index is not None and (self._building.locked() or time.monotonic() < self._checked_at + CHECK_INTERVAL):
            return index
        async with self._building:
            try:
                await self._reload_if_changed()
            except (OSError, NoDocument) as error:
                logger.error("documents.rejected", path=str(self._path), reason=str(error))  # noqa: TRY400
            self._checked_at = time.monotonic()
            if self._index is None:
                raise misconfigured("the documents cannot be read")
            return self._index

    async def _reload_if_changed(self) -> None:
        """Read changed documents, in a thread. The previous index is used until then."""
        seen, self._seen = (
            self._seen,
            await asyncio.to_thread(_signature, self._path),
        )  # before reading: they may change again
        if self._index is not None and self._seen == seen:
            return
        if self._index is None:
            self._index = await asyncio.to_thread(lambda: Index(_passages(self._path)))
        else:
            await asyncio.to_thread(self._index.replace, _passages(self._path))
        logger.info("documents.indexed", path=str(self._path), passages=self._index.size)


def make(options: RetrievalOptions) -> Retrieval:
    """Create a chatbot.

    Raises:
        Unusable: there are no documents, or the language model is unusable.
    """
    path = options.path.expanduser()
    if path.is_dir():
        if next(_files(path), None) is None:
            raise Unusable(f"options.path: no document ({', '.join(SUFFIXES)}) in {path}")
    elif not path.is_file():
        raise Unusable(f"options.path: {path} does not exist")
    return Retrieval(options, None if options.model is None else _make_model(options.model))


def _make_model(table: dict[str, Any]) -> Speaker:
    name = table.get("kind")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise Unusable("options.model.kind: name the kind of a language model, local or openai")
    try:
        made = kind.make(kind.options.model_validate({field: table[field] for field in table if field != "kind"}))
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        raise Unusable(f"options.model.{'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None
    if not isinstance(made, Speaker):
        raise Unusable(f'options.model.kind: "{name}" is no language model')
    return made


async def _said(model: Speaker, question: str, found: Sequence[Passage]) -> AsyncGenerator[Piece]:
    shown = "\n\n".join(f"[{number}] {passage.heading}\n{passage.text}" for number, passage in enumerate(found, 1))
    speeches = [Speech("system", f"{INSTRUCTION}\n\n{shown}"), Speech("user", question)]
    async for piece in model.speak(speeches):
        yield piece


def _quote(passage: Passage) -> str:
    quoted = "\n".join(f"> {line}".rstrip() for line in passage.text.split("\n"))
    return f"{quoted}\n\n{_source(passage)}"


def _source(passage: Passage) -> str:
    return f"— {passage.heading} (`{passage.source}`)" if passage.heading else f"— `{passage.source}`"


def _sources(found: Sequence[Passage]) -> str:
    return "\n".join(dict.fromkeys(map(_source, found)))


def _files(folder: Path) -> Iterator[Path]:
    """Yield the documents of a folder, in no order. Links that lead out of the folder are ignored."""
    real = folder.resolve()
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in SUFFIXES and not hidden and path.is_file() and path.resolve().is_relative_to(real):
            yield path


def _documents(path: Path) -> Sequence[Path]:
    return sorted(_files(path)) if path.is_dir() else [path]


def _signature(path: Path) -> Signature:
    """Return a value that changes when a document is changed, added or removed."""
    found = [(str(file), file.stat()) for file in _documents(path)]
    return tuple((name, status.st_mtime_ns, status.st_size, status.st_ino) for name, status in found)


def _passages(path: Path) -> Iterator[Passage]:
    total = 0
    for file in _documents(path):
        size = file.stat().st_size
        total += size
        if size > FILE_MAX or total > ALL_MAX:
            raise NoDocument(f"{file.name}: too much to read")
        name = file.relative_to(path).as_posix() if file != path else file.name
        yield from read_document(name, file.read_text(encoding="utf-8", errors="replace"))


KIND = Kind(
    options=RetrievalOptions,
    make=make,
    immediate=False,
    context=ContextWanted(messages=0, bytes=32 * 1024),
    concurrency=32,
)

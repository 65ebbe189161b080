"""Reads the catalogue again when somebody asks for it or its file changes; a file that is wrong changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from chatbot_worker.catalogue.definitions import Catalogue
from chatbot_worker.catalogue.loading import CatalogueError, load

logger = structlog.get_logger(__name__)

POLL = 1.0  # seconds between two looks at the file

Signature = tuple[int, int, int]


class Reloader:
    """Watches the catalogue's file. Made before the file is first read, so that no change slips in between."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen = _signature(path)
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Have the file read as soon as possible."""
        self._asked.set()

    async def run(self, apply: Callable[[Catalogue], Awaitable[None]]) -> None:
        """Read and `apply` until cancelled.

        A change is read when the file has kept still from one look to the next: whoever writes it may not
        have finished, and half a file may be a valid one.
        """
        last = self._seen
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL):
                    await self._asked.wait()
            now = await asyncio.to_thread(_signature, self._path)
            if self._asked.is_set() or (now == last and now != self._seen):
                self._asked.clear()
                self._seen = now
                await self._read(apply)
            last = now

    async def _read(self, apply: Callable[[Catalogue], Awaitable[None]]) -> None:
        if self._path is None:
            logger.info("no file of chatbots to read: the built-in list is in use")
            return
        try:
            catalogue = await asyncio.to_thread(load, self._path)  # a kind that is new may take long to import
        except CatalogueError as error:
            logger.error("chatbots stay as they are", reason=str(error))  # noqa: TRY400 - the reason says all
            return
        await apply(catalogue)


def _signature(path: Path | None) -> Signature | None:
    """What changes when the file does; none without one."""
    if path is None:
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino

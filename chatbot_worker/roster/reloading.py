"""Reads the catalogue again on request or when its file changes. A file with an error changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from chatbot_worker.catalogue.definitions import Catalogue
from chatbot_worker.catalogue.loading import CatalogueError, load

logger = structlog.get_logger(__name__)

POLL_INTERVAL = 1.0  # seconds between two checks of the file

Signature = tuple[int, int, int]  # modification time, size, inode


class Reloader:
    """Watches the file of the catalogue. Create it before the file is first read, so that no change is missed."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen = _signature(path)
        self._requested = asyncio.Event()

    def request(self) -> None:
        """Read the file as soon as possible."""
        self._requested.set()

    async def run(self, apply: Callable[[Catalogue], Awaitable[None]]) -> None:
        """Read and `apply` the catalogue until cancelled.

        A changed file is read when it is the same in two checks in a row: it may still be written before, and the
        first half of a catalogue may be a valid one.
        """
        last = self._seen
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_INTERVAL):
                    await self._requested.wait()
            now = await asyncio.to_thread(_signature, self._path)
            if self._requested.is_set() or (now == last and now != self._seen):
                self._requested.clear()
                self._seen = now
                await self._read(apply)
            last = now

    async def _read(self, apply: Callable[[Catalogue], Awaitable[None]]) -> None:
        if self._path is None:
            logger.info("catalogue.unchanged", reason="the built-in list is in use")
            return
        try:
            catalogue = await asyncio.to_thread(load, self._path)  # importing a new kind may take long
        except CatalogueError as error:
            logger.error("catalogue.rejected", reason=str(error))  # noqa: TRY400 - the reason is enough
            return
        await apply(catalogue)


def _signature(path: Path | None) -> Signature | None:
    """Return what changes when the file does; none without a file."""
    if path is None:
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino

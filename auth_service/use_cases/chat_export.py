"""The chats of a user for an export, requested from the persistence worker page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator

import structlog

from shared.bus.port import REQUEST_TIMEOUT, Bus
from shared.contracts.envelope import Event
from shared.contracts.queries import ExportedSession, ExportResult, ExportUser, Reply
from shared.contracts.topology import QUERIES, QUERY_KEY
from shared.errors import Unavailable

logger = structlog.get_logger(__name__)

SOURCE = "auth_service"
TRIES = 3  # of a later page, when the response has started and can no longer become an error


class ChatExport:
    """Requests what the persistence worker stores about users."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def first_page(self, user_id: str, timeout: float = REQUEST_TIMEOUT) -> ExportResult:
        """Return the first page; `timeout` is in seconds.

        Raises:
            Unavailable: the persistence worker does not respond.
        """
        return await self._page(user_id, None, timeout)

    async def sessions(self, user_id: str, page: ExportResult) -> AsyncIterator[ExportedSession]:
        """Yield the sessions of a page and of all pages after it; a long session is split into consecutive parts.

        Raises:
            Unavailable: the persistence worker stopped responding.
        """
        while True:
            for session in page.sessions:
                yield session
            if page.next_cursor is None:
                return
            page = await self._next(user_id, page.next_cursor)

    async def _next(self, user_id: str, cursor: str) -> ExportResult:
        for _ in range(TRIES - 1):
            try:
                return await self._page(user_id, cursor, REQUEST_TIMEOUT)
            except Unavailable:
                logger.warning("export_page.retried")
        return await self._page(user_id, cursor, REQUEST_TIMEOUT)

    async def _page(self, user_id: str, cursor: str | None, timeout: float) -> ExportResult:
        event = Event(source=SOURCE, data=ExportUser(user_id=user_id, cursor=cursor))
        answer = await self._bus.request(QUERIES, QUERY_KEY, event, timeout)
        return ExportResult.read(Reply.result_of(answer))

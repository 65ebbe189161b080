"""The catch-up of a stream: the changes after its cursor page by page, then `ready`."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import structlog

from chat_gateway.protocol.payloads import JoinChat
from chat_gateway.sessions.joining import NEWEST_REPLIES, Sessions
from chat_gateway.streams.stream import Stream
from chat_gateway.transport import frames
from chat_gateway.transport.event_stream import event_text
from shared.contracts.views import PAGE_MAX
from shared.errors import BackchatError, NotFound, Unavailable

logger = structlog.get_logger(__name__)

PAGE_RETRY = 1.0  # seconds before a page that failed is read again


class StreamCatchUp:
    """Reads one session for a stream.

    As for a socket, only the last page joins: what changes before it is read, and is not kept in memory.
    """

    def __init__(self, sessions: Sessions, stream: Stream, request: JoinChat) -> None:
        """`request.after_seq` is the cursor; `None` means the newest number."""
        self._sessions = sessions
        self._stream = stream
        self._request = request
        self._cursor = self._after = request.after_seq

    async def read_page(self) -> None:
        """Queue the next page; the last one ends with `ready`, and the stream is live."""
        limit = NEWEST_REPLIES if self._after is None else PAGE_MAX
        request = self._request.model_copy(update={"after_seq": self._after, "limit": limit})
        await self._sessions.join(self._stream, request, self._queue)

    async def run(self) -> None:
        """Queue the further pages, each after the client has read the one before; never raises."""
        try:
            while self._stream.open and not self._stream.live:
                await self._stream.wait_until_read()
                try:
                    await self.read_page()
                except Unavailable:
                    await asyncio.sleep(PAGE_RETRY)
        except NotFound:
            self._stream.go_live()
            self._stream.send(frames.event("session_deleted", {"session_id": str(self._request.session_id)}))
        except Exception as error:
            if not isinstance(error, BackchatError):
                logger.exception("stream.failed")
            self._stream.end()  # the client connects again and receives the error as a problem document

    def _queue(self, answer: dict[str, Any]) -> None:
        after = self._after
        text = b"" if after is None else self._changes(answer, after)
        if after is not None and answer["has_more"]:
            self._after = answer["last_seq"]
            self._stream.write(text)
            return
        payload = {name: answer[name] for name in ("session", "last_seq", "active_replies")}
        self._stream.write(text + event_text("ready", orjson.dumps(payload), answer["last_seq"]))
        self._stream.go_live()

    def _changes(self, answer: dict[str, Any], after: int) -> bytes:
        """Return the changes of a page as events, by their numbers; a message above the cursor is new to the client."""
        cursor = self._cursor or 0
        changes: list[tuple[int, str, dict[str, Any]]] = [
            (each["updated_seq"], "message" if each["seq"] > cursor else "message_updated", each)
            for each in answer["messages"]
        ]
        session = answer["session"]
        if after < session["seq"] <= answer["last_seq"]:
            view = {name: value for name, value in session.items() if name != "read_seq"}
            changes.append((session["seq"], "session_updated", view))
        changes.sort(key=_number)
        return b"".join(event_text(name, orjson.dumps(payload), number) for number, name, payload in changes)


def _number(change: tuple[int, str, dict[str, Any]]) -> int:
    return change[0]

"""Reads responses of external servers, up to a maximum size. Every part that arrives is a sign of life."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

import httpx2
from httpx2 import EventSource, Limits, Response, ServerSentEvent, SSEError

from chatbot_worker.chatbots.protocol import ReplyError, report_progress
from chatbot_worker.kinds.wire import failures

EVENT_STREAM = "text/event-stream"
BLANK = b" \t\r\n\xef\xbb\xbf"  # white space and the byte order mark of UTF-8

# One connection for each request: llama.cpp and others sometimes close a connection that has served a stream, and a
# request on it fails. Only the worker retries, and it limits the number of requests.
NO_REUSE = Limits(max_connections=None, max_keepalive_connections=0)


class Body:
    """The body of a response. `first` looks at its beginning; then one of `whole`, `lines` and `events` reads it."""

    def __init__(self, answer: Response) -> None:
        self._request = answer.request
        self._parts = answer.aiter_bytes()
        self._head = b""

    async def first(self) -> bytes:
        """Return the first byte that is not blank; empty at the end."""
        while not self._head.strip(BLANK):
            try:
                self._head += await anext(self._parts)
            except StopAsyncIteration:
                return b""
            report_progress()
        return self._head.lstrip(BLANK)[:1]

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives."""
        head, self._head = self._head, b""
        if head:
            yield head
        async for part in self._parts:
            report_progress()
            yield part

    async def whole(self, most: int) -> bytes:
        """Return the body.

        Raises:
            ReplyError: it has more than `most` bytes.
        """
        found = bytearray()
        async for part in self.parts():
            found += part
            if len(found) > most:
                raise failures.broken("too long an answer")
        return bytes(found)

    async def lines(self, most: int) -> AsyncIterator[bytes]:
        """Yield the lines of the body as they arrive.

        Raises:
            ReplyError: it has more than `most` bytes.
        """
        rest, size = b"", 0
        async for part in self.parts():
            size += len(part)
            if size > most:
                raise failures.broken("too long an answer")
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                yield line
        yield rest

    async def events(self, *, event_max: int, most: int) -> AsyncGenerator[ServerSentEvent]:
        """Yield the server-sent events, whatever media type the response has.

        httpx2 parses them. A last event without a blank line behind it counts: the framing of the response shows
        whether it is whole.

        Raises:
            ReplyError: an event has more than `event_max` bytes, or all events more than `most` characters of data.
        """
        size = 0
        try:
            async for event in self._source(event_max):
                size += len(event.data)
                if size > most:
                    raise failures.broken("too long an answer")
                yield event
        except SSEError:
            raise failures.broken("too long an event") from None

    def _source(self, event_max: int) -> EventSource:
        """Return httpx2's parser for this body, labelled as an event stream and ended by a blank line."""
        headers = {"Content-Type": f"{EVENT_STREAM}; charset=utf-8-sig"}
        copy = Response(200, headers=headers, content=self._ended(), request=self._request)
        return EventSource(copy, max_event_size=event_max)

    async def _ended(self) -> AsyncIterator[bytes]:
        async for part in self.parts():
            yield part
        yield b"\n\n"


def media_type(answer: Response) -> str:
    """Return the media type of a response, in lower case and without parameters."""
    return str(answer.headers.get("Content-Type", "")).partition(";")[0].strip().lower()


async def read_whole(answer: Response, most: int) -> bytes:
    """Return the body of a response.

    Raises:
        ReplyError: the body has more than `most` bytes.
    """
    return await Body(answer).whole(most)


async def read_error_body(answer: Response, most: int) -> bytes:
    """Return the body of an error response, as far as it can be read."""
    try:
        return await Body(answer).whole(most)
    except (httpx2.HTTPError, ReplyError):
        return b""

"""Reads responses of external servers, up to a maximum size."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from httpx2 import Limits, Response

from chatbot_worker.kinds.wire import failures
from chatbot_worker.kinds.wire.event_stream import EventStream, Sent, TooLong

EVENT_STREAM = "text/event-stream"

# One connection for each request: llama.cpp and others sometimes close a connection that has served a stream, and a
# request on it fails. Only the worker retries, and it limits the number of requests.
NO_REUSE = Limits(max_connections=None, max_keepalive_connections=0)


def media_type(answer: Response) -> str:
    """Return the media type of a response, in lower case and without parameters."""
    return str(answer.headers.get("Content-Type", "")).partition(";")[0].strip().lower()


async def read_whole(answer: Response, most: int) -> bytes:
    """Return the body of a response.

    Raises:
        ReplyError: the body has more than `most` bytes.
    """
    found = bytearray()
    async for part in answer.aiter_bytes():
        found += part
        if len(found) > most:
            raise failures.broken("too long an answer")
    return bytes(found)


async def read_events(answer: Response, *, event_max: int, most: int) -> AsyncGenerator[Sent]:
    """Yield the server-sent events of a response.

    Raises:
        ReplyError: an event has more than `event_max` bytes, or all events more than `most` characters of data.
    """
    stream = EventStream(event_max)
    size = 0
    async for part in answer.aiter_bytes():
        try:
            found = stream.feed(part)
        except TooLong:
            raise failures.broken("too long an event") from None
        for sent in found:
            size += len(sent.data)
            if size > most:
                raise failures.broken("too long an answer")
            yield sent

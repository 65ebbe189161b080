"""Reading the answers of servers that are not ours: no more than so much, whatever they send."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from httpx2 import Limits, Response

from chatbot_worker.kinds.wire import failures
from chatbot_worker.kinds.wire.event_stream import EventStream, Sent, TooLong

EVENT_STREAM = "text/event-stream"

# A connection a request: llama.cpp among others closes one that just served a stream, now and then, and a request
# that goes into it fails; to send it again is not ours. The worker bounds how many there are.
NO_REUSE = Limits(max_connections=None, max_keepalive_connections=0)


def media_type(answer: Response) -> str:
    """What the answer says it is, in lower case and without parameters."""
    return str(answer.headers.get("Content-Type", "")).partition(";")[0].strip().lower()


async def read_whole(answer: Response, most: int) -> bytes:
    """A body of at most `most` bytes.

    Raises:
        ReplyError: it is longer.
    """
    found = bytearray()
    async for part in answer.aiter_bytes():
        found += part
        if len(found) > most:
            raise failures.broken("too long an answer")
    return bytes(found)


async def read_events(answer: Response, *, event_max: int, most: int) -> AsyncGenerator[Sent]:
    """Server-sent events, each of at most `event_max` bytes, together of at most `most` characters of data.

    Raises:
        ReplyError: there is more.
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

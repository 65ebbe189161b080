"""One event stream: a recipient of deliveries whose outbound queue is the body of an HTTP response."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

from starlette.types import Send

from chat_gateway.identity.authentication import Identity
from chat_gateway.settings import GatewaySettings
from chat_gateway.transport import event_stream
from chat_gateway.transport.connection import BURST_FACTOR, UNREAD_MAX
from chat_gateway.transport.frames import Frame
from chat_gateway.transport.outbound_queue import OutboundQueue
from chat_gateway.transport.unread_bytes import unread_bytes
from chat_gateway.transport.wire import JOINED_MAX

LAST_EVENTS = frozenset({"auth_expired", "going_away"})  # events after which any stream ends
HELD_MAX = 100  # events of a stream that are held until its catch-up is complete; further ones are dropped
RETRY_MS = (1_000, 3_000)  # milliseconds after which a client reconnects, at random: spreads clients after a stop
END_WITHIN = 1.0  # seconds to write the rest of a stream that has ended, after which its connection is aborted


class Text:
    """A part of a stream that is no event of a delivery, such as a comment or a page of changes."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    @property
    def chunk(self) -> bytes:
        """The text as a chunk of the response."""
        return event_stream.chunk(self.data)


class Stream:
    """One stream. Implements `ConnectedClient`.

    `follows` is the id of its session, or `None` for all of the user. Until `go_live`, events of the user are held,
    because the changes after the cursor come first.
    """

    __slots__ = (
        "_completed",
        "_ended",
        "_held",
        "_last_events",
        "_live",
        "_read_bytes",
        "_settings",
        "_transport",
        "_unread_since",
        "_written",
        "_written_bytes",
        "commented_at",
        "expiry",
        "follows",
        "identity",
        "joined",
        "queue",
        "slow",
        "user_id",
        "valid_until",
    )

    def __init__(
        self, identity: Identity, follows: str | None, settings: GatewaySettings, transport: asyncio.Transport
    ) -> None:
        self.identity = identity
        self.user_id = identity.user_id
        self.follows = follows
        self.joined: set[str] = set()
        self.valid_until = float("-inf")
        self.expiry: asyncio.TimerHandle | None = None
        self.commented_at = time.monotonic()
        self.slow = False  # whether it was cut off
        self.queue = OutboundQueue()
        # A field of the first event, because some parsers take a separate `retry` for an event without data.
        self.queue.put_nowait(Text(b"retry: %d\n" % random.randint(*RETRY_MS)))  # noqa: S311 - no secret
        self._settings = settings
        self._transport = transport
        self._last_events = LAST_EVENTS if follows is None else LAST_EVENTS | {"session_deleted"}
        self._live = False
        self._held: list[Frame] = []
        self._ended = False
        self._completed = True  # whether no response is being written
        self._written = asyncio.Event()
        self._written_bytes = self._read_bytes = 0  # of chunks; the second as of the last check
        self._unread_since: float | None = None

    @property
    def open(self) -> bool:
        """Whether the stream has not ended."""
        return not self._ended

    @property
    def receives(self) -> bool:
        """A stream can join sessions."""
        return True

    @property
    def live(self) -> bool:
        """Whether the changes after the cursor have been queued."""
        return self._live

    def send(self, frame: Frame) -> None:
        """Queue an event; one of the last events ends the stream."""
        if self._ended:
            return
        if self._live or frame.name in LAST_EVENTS:
            self._put(frame)
            if frame.name in self._last_events:
                self.end()
        elif frame.name != "session_deleted" and len(self._held) < HELD_MAX:  # the catch-up itself finds a deletion
            self._held.append(frame)

    def write(self, text: bytes) -> None:
        """Queue text that is no event of a delivery."""
        if not self._ended:
            self._put(Text(text))

    def go_live(self) -> None:
        """Pass on events from now on, the held ones first."""
        self._live = True
        held, self._held = self._held, []
        for frame in held:
            self.send(frame)

    def dismiss(self, *last_words: Frame) -> None:
        """Send the last events and end the stream."""
        for frame in last_words:
            self.send(frame)
        self.end()

    def end(self) -> None:
        """End the stream after the queue is written; repeated calls do nothing."""
        if self._ended:
            return
        self._ended = True
        self.queue.put_nowait(None)
        self._written.set()
        asyncio.get_running_loop().call_later(END_WITHIN, self._abort_unwritten)

    def check_reading(self, now: float) -> None:
        """Cut the stream off if the client has read nothing of the written bytes for too long; called every second."""
        if self._read_bytes == self._written_bytes:
            return
        before, self._read_bytes = self._read_bytes, self._written_bytes - unread_bytes(self._transport)
        if self._read_bytes > before:
            self._unread_since = None
        elif self._unread_since is None:
            self._unread_since = now
        elif now - self._unread_since >= self._settings.read_within:
            self._cut_off()

    async def wait_until_read(self) -> None:
        """Wait until the client has read most of what is queued, so that a further page may follow."""
        await self._written.wait()

    async def copy_to(self, send: Send) -> None:
        """Write the queue as the body of the response until the stream has ended.

        The chunks of events are shared by all streams, so they are written around ASGI, which would frame each again.
        """
        last = self._completed = False
        while not last:
            if self.queue.empty():
                self._written.set()
            last, chunks = self._gather(await self.queue.get())
            if self._transport.is_closing():
                break
            body = chunks.pop() if len(chunks) == 1 else b"".join(chunks)
            self._written_bytes += len(body)
            self._transport.write(body)
            if self._transport.get_write_buffer_size() > UNREAD_MAX:
                await send({"type": "http.response.body", "body": b"", "more_body": True})  # waits for the client
        await send({"type": "http.response.body", "body": b""})
        self._completed = True

    def _gather(self, item: Any) -> tuple[bool, list[bytes]]:
        """Return whether the queue has ended, and the chunks of `item` and of the items queued behind it."""
        chunks: list[bytes] = []
        size = 0
        while item is not None:
            chunks.append(item.chunk)
            size += len(chunks[-1])
            if size >= JOINED_MAX or self.queue.empty():
                return False, chunks
            item = self.queue.get_nowait()
        return True, chunks

    def _put(self, item: Frame | Text) -> None:
        queue, settings = self.queue, self._settings
        load = max(queue.qsize() / settings.outbound_packets, queue.size / settings.outbound_bytes)
        if load >= 1 and (load >= BURST_FACTOR or self._transport.get_write_buffer_size() > UNREAD_MAX):
            self._cut_off()
        else:
            self._written.clear()
            queue.put_nowait(item)

    def _cut_off(self) -> None:
        self.slow = True
        self.end()
        self._transport.abort()

    def _abort_unwritten(self) -> None:
        if not self._completed:
            self._transport.abort()

"""A queue in memory: order, limits, expiry, and which consumer may take."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from shared.contracts.topology import Queue

ENTRY_OVERHEAD = 512  # bytes of memory that an entry costs in addition to its body, about


class Memory:
    """The memory shared by all queues that have no limit themselves: `most` bytes, of which `used` are reserved."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.used = 0


class Entry:
    """One body in one queue. `id` is its number in the journal, 0 for one that only memory holds."""

    __slots__ = ("body", "count", "id", "key", "place", "since", "size")

    def __init__(self, key: str, body: bytes, id: int = 0, count: int = 0) -> None:  # noqa: A002
        self.key = key
        self.body = body
        self.id = id
        self.count = count  # deliveries without an ack
        self.size = len(body)
        self.place = 0  # in the queue
        self.since = 0.0  # the loop's time at which it was put


class Consumer(Protocol):
    """A subscription as its queue sees it."""

    def wake(self) -> None:
        """Check again whether there is an entry to take."""


class MessageQueue:
    """The entries of one queue, oldest first.

    `remove` is called with the journal ids of entries that are acknowledged or dropped.
    """

    def __init__(self, spec: Queue, memory: Memory, remove: Callable[[int], None]) -> None:
        self.spec = spec
        self.prefetch = 0  # the highest sum of the prefetches of all consumers so far
        self.overflowed = False  # an entry was dropped since this was last reset
        self._memory = memory
        self._remove = remove
        self._ready: deque[Entry] = deque()
        self._ready_bytes = 0
        self._used = 0  # bytes ready, delivered, or being committed
        self._places = 0
        self._consumers: list[Consumer] = []
        self._expiry: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._closed = False

    @property
    def drops_oldest(self) -> bool:
        """Whether it has a limit in bytes and drops its oldest entries above it."""
        return self.spec.overflow == "drop-head" and self.spec.max_bytes is not None

    def is_journalled(self, *, persistent: bool) -> bool:
        """Whether a message of an exchange (`persistent` or not) is written to the journal."""
        return self.spec.kind == "quorum" or (persistent and self.spec.kind == "transient")

    def reserve(self, size: int, *, forced: bool = False) -> bool:
        """Reserve room for an entry. Returns false if there is none and it is not `forced`."""
        if not self.drops_oldest:
            most = self.spec.max_bytes if self.spec.overflow == "reject-publish" else None
            cost = size + ENTRY_OVERHEAD
            full = self._memory.used + cost > self._memory.most or (most is not None and self._used + size > most)
            if full and not forced:
                return False
            self._memory.used += cost
        self._used += size
        return True

    def release(self, size: int) -> None:
        """Release reserved room."""
        self._used -= size
        if not self.drops_oldest:
            self._memory.used -= size + ENTRY_OVERHEAD

    def put(self, entry: Entry) -> None:
        """Add an entry for which room was reserved, and wake the consumers."""
        if self._closed:
            self.discard(entry)
            return
        self._places += 1
        entry.place = self._places
        self._ready.append(entry)
        self._ready_bytes += entry.size
        entry.since = self._loop.time()
        if self.spec.message_ttl is not None and self._expiry is None:
            self._expiry = self._loop.call_later(self.spec.message_ttl, self._expire)
        self._drop_over_limits()
        self._wake()

    def take(self, consumer: Consumer, most: int) -> list[Entry]:
        """Remove and return the oldest entries; none for a consumer that is not the active one."""
        if self.spec.single_active_consumer and self._consumers[0] is not consumer:
            return []
        taken = [self._ready.popleft() for _ in range(min(most, len(self._ready)))]
        self._ready_bytes -= sum(entry.size for entry in taken)
        return taken

    def requeue(self, entries: Iterable[Entry]) -> None:
        """Put entries that were taken and not acknowledged back, each in its place."""
        back = sorted(entries, key=_place)
        self._ready_bytes += sum(entry.size for entry in back)
        if self._ready and back and self._ready[0].place < back[-1].place:
            self._ready = deque(heapq.merge(back, self._ready, key=_place))
        else:
            self._ready.extendleft(reversed(back))
        self._expire()
        self._drop_over_limits()
        self._wake()

    def discard(self, entry: Entry) -> None:
        """Release an entry that was acknowledged or dropped."""
        self.release(entry.size)
        if entry.id:
            self._remove(entry.id)

    def add_consumer(self, consumer: Consumer) -> None:
        """Add a consumer; of a queue with a single active consumer, the first one is active."""
        self._consumers.append(consumer)

    def remove_consumer(self, consumer: Consumer) -> None:
        """Remove a consumer; the next one becomes active."""
        self._consumers.remove(consumer)
        self._wake()

    def close(self) -> None:
        """Drop all entries, and those that are still being committed: the queue of a connection that has ended."""
        self._closed = True
        while self._ready:
            self._drop_oldest()
        self.stop()

    def stop(self) -> None:
        """Stop the expiry timer; the entries stay."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def ready(self) -> Iterable[Entry]:
        """Return the entries that can be taken, oldest first."""
        return self._ready

    def _drop_over_limits(self) -> None:
        spec = self.spec
        if spec.overflow == "reject-publish":
            return
        while self._ready and (
            (spec.max_length is not None and len(self._ready) > spec.max_length)
            or (spec.max_bytes is not None and self._ready_bytes > spec.max_bytes)
        ):
            self._drop_oldest()
            self.overflowed = True

    def _drop_oldest(self) -> None:
        entry = self._ready.popleft()
        self._ready_bytes -= entry.size
        self.discard(entry)

    def _expire(self) -> None:
        if self.spec.message_ttl is None:
            return
        over = self._loop.time() - self.spec.message_ttl
        while self._ready and self._ready[0].since <= over:
            self._drop_oldest()
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        if self._ready:
            self._expiry = self._loop.call_later(self._ready[0].since - over, self._expire)

    def _wake(self) -> None:
        if not self._ready and not self.overflowed:
            return
        if self.spec.single_active_consumer:
            for consumer in self._consumers[:1]:
                consumer.wake()
            return
        self._consumers.append(self._consumers.pop(0)) if self._consumers else None  # round robin
        for consumer in self._consumers:
            consumer.wake()


def _place(entry: Entry) -> int:
    return entry.place

"""A queue in memory: order, limits, expiry, and which consumer may take."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from shared.contracts.topology import Queue

ENTRY_OVERHEAD = 512  # bytes of memory that an entry costs besides its body, about


class Memory:
    """How many bytes all queues without a bound of their own may hold together."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.used = 0


class Entry:
    """One body in one queue. `id` is its place in the journal, 0 for one that lives in memory alone."""

    __slots__ = ("body", "count", "id", "key", "place", "since", "size")

    def __init__(self, key: str, body: bytes, id: int = 0, count: int = 0) -> None:  # noqa: A002
        self.key = key
        self.body = body
        self.id = id
        self.count = count  # deliveries without an ack
        self.size = len(body)
        self.place = 0  # in the queue
        self.since = 0.0  # when it came, of the loop's clock


class Consumer(Protocol):
    """What a queue knows of a subscription."""

    def wake(self) -> None:
        """Look again whether there is something to take."""


class MessageQueue:
    """What waits in one queue, oldest first.

    `forget` is told the journal ids that need not be kept any longer.
    """

    def __init__(self, spec: Queue, memory: Memory, forget: Callable[[int], None]) -> None:
        self.spec = spec
        self.prefetch = 0  # of all consumers together, the most there ever was
        self.lost = False  # something was dropped since this was last read
        self._memory = memory
        self._forget = forget
        self._ready: deque[Entry] = deque()
        self._ready_bytes = 0
        self._used = 0  # bytes ready, handed out, or being committed
        self._places = 0
        self._consumers: list[Consumer] = []
        self._expiry: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._ended = False

    @property
    def bounds_itself(self) -> bool:
        """Whether it drops its oldest rather than grow."""
        return self.spec.overflow == "drop-head" and self.spec.max_bytes is not None

    def keeps(self, *, persistent: bool) -> bool:
        """Whether a message belongs in the journal."""
        return self.spec.kind == "quorum" or (persistent and self.spec.kind == "transient")

    def reserve(self, size: int, *, forced: bool = False) -> bool:
        """Set room aside for an entry that will come; false when there is none and it is not `forced`."""
        if not self.bounds_itself:
            most = self.spec.max_bytes if self.spec.overflow == "reject-publish" else None
            cost = size + ENTRY_OVERHEAD
            full = self._memory.used + cost > self._memory.most or (most is not None and self._used + size > most)
            if full and not forced:
                return False
            self._memory.used += cost
        self._used += size
        return True

    def release(self, size: int) -> None:
        """Give room back."""
        self._used -= size
        if not self.bounds_itself:
            self._memory.used -= size + ENTRY_OVERHEAD

    def put(self, entry: Entry) -> None:
        """Add an entry for which room was set aside, and wake the consumers."""
        if self._ended:
            self.settle(entry)
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
        """The oldest entries; none for a consumer that has to wait behind the active one."""
        if self.spec.single_active_consumer and self._consumers[0] is not consumer:
            return []
        taken = [self._ready.popleft() for _ in range(min(most, len(self._ready)))]
        self._ready_bytes -= sum(entry.size for entry in taken)
        return taken

    def put_back(self, entries: Iterable[Entry]) -> None:
        """Return what was taken and not acked, each to its place."""
        back = sorted(entries, key=_place)
        self._ready_bytes += sum(entry.size for entry in back)
        if self._ready and back and self._ready[0].place < back[-1].place:
            self._ready = deque(heapq.merge(back, self._ready, key=_place))
        else:
            self._ready.extendleft(reversed(back))
        self._expire()
        self._drop_over_limits()
        self._wake()

    def settle(self, entry: Entry) -> None:
        """An entry is done with: acked or dropped."""
        self.release(entry.size)
        if entry.id:
            self._forget(entry.id)

    def add_consumer(self, consumer: Consumer) -> None:
        """The first one is the active one where there may be only one."""
        self._consumers.append(consumer)

    def remove_consumer(self, consumer: Consumer) -> None:
        """Let the next one take over."""
        self._consumers.remove(consumer)
        self._wake()

    def end(self) -> None:
        """Drop everything that is there or still comes: the queue of one connection, which has ended."""
        self._ended = True
        while self._ready:
            self._drop_oldest()
        self.stop()

    def stop(self) -> None:
        """Let no time run any more; what waits stays."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def waiting(self) -> Iterable[Entry]:
        """What is ready, oldest first."""
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
            self.lost = True

    def _drop_oldest(self) -> None:
        entry = self._ready.popleft()
        self._ready_bytes -= entry.size
        self.settle(entry)

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
        if not self._ready and not self.lost:
            return
        if self.spec.single_active_consumer:
            for consumer in self._consumers[:1]:
                consumer.wake()
            return
        self._consumers.append(self._consumers.pop(0)) if self._consumers else None  # everyone's turn to be first
        for consumer in self._consumers:
            consumer.wake()


def _place(entry: Entry) -> int:
    return entry.place

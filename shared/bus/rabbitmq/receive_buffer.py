"""Deliveries of one subscription that were received and are not acknowledged; the prefetch bounds them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from secrets import randbits

from shared.bus.port import Batch, Delivery
from shared.errors import Unavailable


class ReceiveBuffer:
    """Deliveries in the order of arrival, and the tags that are still to be acknowledged.

    `epoch` identifies one channel: deliveries of another one are void. It is random, so that an acknowledgement can
    never match a delivery of another subscription, connection or process.
    """

    def __init__(self) -> None:
        self.epoch = 0  # 0: no channel
        self._received: deque[Delivery] = deque()
        self._unacked: dict[int, None] = {}  # delivery tags, in order
        self._gap = False
        self._closed = False
        self._wake = asyncio.Event()

    @property
    def has_unacked(self) -> bool:
        """Whether any delivery is not acknowledged yet."""
        return bool(self._unacked)

    def begin(self) -> int:
        """Start and return a new epoch, for a new channel."""
        self.reset()
        self.epoch = randbits(62) + 1
        return self.epoch

    def reset(self) -> None:
        """Forget all deliveries: their channel is lost, and the broker redelivers what was not acknowledged."""
        self.epoch = 0
        self._received.clear()
        self._unacked.clear()

    def put(self, delivery: Delivery) -> None:
        """Append a delivery of the current epoch; drop one of another."""
        if delivery.epoch == self.epoch:
            self._unacked[delivery.tag] = None
            self._received.append(delivery)
            self._wake.set()

    def report_gap(self) -> None:
        """Mark the next batch: messages may have been lost before it."""
        self._gap = True
        self._wake.set()

    def close(self) -> None:
        """End all waiting and later calls of `take`."""
        self._closed = True
        self._wake.set()

    async def take(self, most: int) -> Batch:
        """Wait for at least one delivery or a gap.

        Raises:
            Unavailable: closed.
        """
        while not self._received and not self._gap:
            if self._closed:
                raise Unavailable("The subscription is closed.")
            self._wake.clear()
            await self._wake.wait()
        gap, self._gap = self._gap, False
        received = self._received
        return Batch([received.popleft() for _ in range(min(most, len(received)))], gap)

    def acknowledge(self, deliveries: Sequence[Delivery]) -> list[tuple[int, bool]]:
        """Return the acknowledgements (delivery tag, multiple) to send for these; void ones are left out."""
        acked = {d.tag for d in deliveries if d.epoch == self.epoch and d.tag in self._unacked}
        acks = acknowledgements(self._unacked, acked)
        for tag in acked:
            del self._unacked[tag]
        return acks


def acknowledgements(unacked: Iterable[int], acked: AbstractSet[int]) -> list[tuple[int, bool]]:
    """Return the (delivery tag, multiple) that acknowledge `acked`, given all unacknowledged tags in delivery order.

    Tags that are contiguous from the oldest one go in one `multiple`; further ones singly.
    """
    last = 0
    count = 0
    for tag in unacked:
        if tag not in acked:
            break
        last = tag
        count += 1
    found = [(last, count > 1)] if count else []
    if count < len(acked):
        found += [(tag, False) for tag in sorted(acked) if tag > last]
    return found

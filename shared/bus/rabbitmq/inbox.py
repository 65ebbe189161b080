"""What has arrived for one subscription and is not settled yet: local, bounded by the prefetch. No I/O."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from secrets import randbits

from shared.bus.port import Batch, Delivery
from shared.errors import Unavailable


class Inbox:
    """Deliveries in the order of arrival, and which of them are still to be acknowledged.

    `epoch` names one channel: what belongs to another is void. It is random, so that an acknowledgement can
    never hit a delivery of another subscription, connection or process.
    """

    def __init__(self) -> None:
        self.epoch = 0  # 0: no channel
        self._arrived: deque[Delivery] = deque()
        self._unsettled: dict[int, None] = {}  # delivery tags, in order
        self._gap = False
        self._closed = False
        self._wake = asyncio.Event()

    @property
    def holds_some(self) -> bool:
        """Whether anything delivered is not acknowledged yet."""
        return bool(self._unsettled)

    def begin(self) -> int:
        """Start a new epoch, for a new channel."""
        self.reset()
        self.epoch = randbits(62) + 1
        return self.epoch

    def reset(self) -> None:
        """Forget everything of the channel: it is gone, and the broker delivers again what was not acked."""
        self.epoch = 0
        self._arrived.clear()
        self._unsettled.clear()

    def put(self, delivery: Delivery) -> None:
        """Add what the broker delivered."""
        if delivery.epoch == self.epoch:
            self._unsettled[delivery.tag] = None
            self._arrived.append(delivery)
            self._wake.set()

    def tell_gap(self) -> None:
        """Something may have been lost before what comes next."""
        self._gap = True
        self._wake.set()

    def close(self) -> None:
        """Nothing comes any more."""
        self._closed = True
        self._wake.set()

    async def take(self, most: int) -> Batch:
        """Wait for at least one delivery or a gap.

        Raises:
            Unavailable: closed.
        """
        while not self._arrived and not self._gap:
            if self._closed:
                raise Unavailable("The subscription is closed.")
            self._wake.clear()
            await self._wake.wait()
        gap, self._gap = self._gap, False
        arrived = self._arrived
        return Batch([arrived.popleft() for _ in range(min(most, len(arrived)))], gap)

    def settle(self, deliveries: Sequence[Delivery]) -> list[tuple[int, bool]]:
        """The acknowledgements (delivery tag, multiple) to send for these; void ones are left out."""
        settled = {d.tag for d in deliveries if d.epoch == self.epoch and d.tag in self._unsettled}
        acks = acknowledgements(self._unsettled, settled)
        for tag in settled:
            del self._unsettled[tag]
        return acks


def acknowledgements(unsettled: Iterable[int], settled: AbstractSet[int]) -> list[tuple[int, bool]]:
    """The (delivery tag, multiple) that settle `settled`, given all unsettled tags in order of delivery.

    What is contiguous from the oldest goes in one `multiple`; the rest singly.
    """
    last = 0
    count = 0
    for tag in unsettled:
        if tag not in settled:
            break
        last = tag
        count += 1
    found = [(last, count > 1)] if count else []
    if count < len(settled):
        found += [(tag, False) for tag in sorted(settled) if tag > last]
    return found

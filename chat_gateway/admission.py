"""Admission: how many connections there may be of which nobody knows yet whose they are.

After a gateway's death its clients come to the others all at once. What is over the bounds is refused where
a session is opened, before it costs much, in the form after which a stock client tries again by itself.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from chat_gateway.settings import GatewaySettings


class Newcomer(Protocol):
    """A connection. `address` is the client's, as the listener sees it."""

    address: str


class Admission:
    """The connections whose handshake is under way, in all and by address."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._most = settings.handshakes
        self._most_per_address = settings.handshakes_per_address if settings.limits == "on" else settings.handshakes
        self._newcomers: set[Newcomer] = set()
        self._of_address: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._newcomers)

    def is_full(self, address: str) -> bool:
        """Whether nobody more may come in, or nobody more from there."""
        return len(self._newcomers) >= self._most or self._of_address[address] >= self._most_per_address

    def begin(self, newcomer: Newcomer) -> None:
        """A handshake begins."""
        if newcomer not in self._newcomers:
            self._newcomers.add(newcomer)
            self._of_address[newcomer.address] += 1

    def end(self, newcomer: Newcomer) -> None:
        """It is known who that is, or the connection is gone."""
        if newcomer not in self._newcomers:
            return
        self._newcomers.discard(newcomer)
        self._of_address[newcomer.address] -= 1
        if not self._of_address[newcomer.address]:
            del self._of_address[newcomer.address]

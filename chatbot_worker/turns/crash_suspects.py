"""Finds the turn that crashes its workers, among all turns that the broker delivers again after a crash."""

from __future__ import annotations

import asyncio

from chatbot_worker.rules.attempts import CRASHES_MAX
from shared.bus.port import Delivery

SUSPECTS_FROM = 3  # earlier deliveries without an acknowledgement from which on turns run one at a time


class CrashSuspects:
    """The turns of one chatbot that were delivered so often that each may be the one that crashes its workers.

    A crash counts against all turns that the worker had taken. Suspects run one at a time and in order, so only the
    first of them after a start can have caused it.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._first_seen = False

    def includes(self, delivery: Delivery) -> bool:
        """Return whether the turns of this delivery are suspects."""
        return delivery.delivery_count >= SUSPECTS_FROM

    async def enter(self, delivery: Delivery) -> None:
        """Wait until no other suspect runs, if this one is."""
        if self.includes(delivery):
            await self._lock.acquire()

    def leave(self, delivery: Delivery) -> None:
        """Let the next suspect run, if this one was."""
        if self.includes(delivery):
            self._lock.release()

    def condemns(self, delivery: Delivery) -> bool:
        """Return whether the turn must fail without another try."""
        if self._first_seen or not self.includes(delivery):
            return False
        self._first_seen = True
        return delivery.delivery_count >= CRASHES_MAX

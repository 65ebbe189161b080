"""The slot that a turn has at its chatbot while it runs."""

from __future__ import annotations

import asyncio

from chatbot_worker.replies.replier import Replier
from chatbot_worker.turns.fairness import WAIT_MAX
from chatbot_worker.turns.worker_context import ActiveChatbot
from shared.bus.port import Delivery


class NoSlotInTime(Exception):
    """The turn has waited for `WAIT_MAX` seconds."""


class TurnSlot:
    """Takes a slot for one turn, and keeps the chatbot's current replier in use until `release`.

    Args:
        chatbot: that answers.
        user: for whom the slot counts.
        delivery: of the turn; a suspect of crashes runs without other suspects.
    """

    def __init__(self, chatbot: ActiveChatbot, user: str, delivery: Delivery) -> None:
        self.replier: Replier | None = None  # while there is a slot
        self._chatbot = chatbot
        self._user = user
        self._delivery = delivery

    def take(self) -> Replier | None:
        """Take a slot if one is free and the turn is no suspect; return the replier."""
        if self._chatbot.suspects.includes(self._delivery) or not self._chatbot.slots.take(self._user):
            return None
        return self._begin()

    async def wait(self) -> Replier:
        """Wait for a slot. A suspect also waits until no suspect runs.

        Raises:
            NoSlotInTime: after `WAIT_MAX`.
        """
        chatbot = self._chatbot
        try:
            with chatbot.metrics.waiting.track_inprogress():
                async with asyncio.timeout(WAIT_MAX):
                    await chatbot.suspects.enter(self._delivery)
                    try:
                        await chatbot.slots.acquire(self._user)
                    except BaseException:
                        chatbot.suspects.leave(self._delivery)
                        raise
        except TimeoutError:
            raise NoSlotInTime from None
        return self._begin()

    def release(self) -> None:
        """Give the slot back, if there is one."""
        if self.replier is None:
            return
        self.replier.end_use()
        self.replier = None
        self._chatbot.metrics.running.dec()
        self._chatbot.slots.release(self._user)
        self._chatbot.suspects.leave(self._delivery)

    def _begin(self) -> Replier:
        self.replier = self._chatbot.replier
        self.replier.begin_use()
        self._chatbot.metrics.running.inc()
        return self.replier

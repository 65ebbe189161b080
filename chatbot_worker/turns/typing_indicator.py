"""Publishes `typing` events of chatbots that have a turn in this worker, and renews them while the turn lasts."""

from __future__ import annotations

import asyncio
from uuid import UUID

from chatbot_worker.replies.reply_stream import SOURCE
from shared.bus.port import Bus
from shared.contracts import ids
from shared.contracts.envelope import Event
from shared.contracts.events import TypingChanged
from shared.contracts.topology import DELIVERY, session_key
from shared.contracts.turns import RunTurn

RENEWAL_INTERVAL = (
    4.0  # seconds; sockets that join a session see it with the next renewal, and clients may expire an old one
)


class TypingIndicator:
    """The turns of this worker that are shown as `typing` in their sessions."""

    def __init__(self, bus: Bus, partitions: int) -> None:
        self._bus = bus
        self._partitions = partitions
        self._turns: dict[UUID, RunTurn] = {}

    def begin(self, turn: RunTurn) -> None:
        """Publish that the chatbot types, and again each `RENEWAL_INTERVAL` until `end`."""
        self._turns[turn.message_id] = turn
        self._publish(turn, typing=True)

    def end(self, turn: RunTurn) -> None:
        """Publish that the chatbot types no longer."""
        self._turns.pop(turn.message_id, None)
        self._publish(turn, typing=False)

    async def renew(self) -> None:
        """Renew the indicator of all turns until cancelled."""
        while True:
            await asyncio.sleep(RENEWAL_INTERVAL)
            for turn in list(self._turns.values()):
                self._publish(turn, typing=True)

    def _publish(self, turn: RunTurn, *, typing: bool) -> None:
        changed = TypingChanged(
            session_id=turn.session_id, sender_type="chatbot", sender_id=turn.chatbot_id, typing=typing
        )
        key = session_key(ids.partition(turn.session_id, self._partitions))
        self._bus.stream(DELIVERY, key, Event(SOURCE, changed, str(turn.session_id)))

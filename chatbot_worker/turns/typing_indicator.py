"""Tells the people of a session that a chatbot is at work on a reply, or has it waiting: `typing`, kept fresh."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from chatbot_worker.replies.reply_stream import SOURCE
from shared.bus.port import Bus
from shared.contracts import ids
from shared.contracts.envelope import Event
from shared.contracts.events import TypingChanged
from shared.contracts.topology import DELIVERY, session_key
from shared.contracts.turns import RunTurn

RENEWED_EVERY = 4.0  # seconds; who joins meanwhile sees it then, and a client may forget one that is not renewed


class AtWork:
    """The turns that a worker has taken and not yet ended."""

    def __init__(self, bus: Bus, partitions: int) -> None:
        self._bus = bus
        self._partitions = partitions
        self._turns: dict[UUID, RunTurn] = {}

    @contextmanager
    def shown(self, turn: RunTurn) -> Iterator[None]:
        """Say so now, now and then, and at the end that it is over, however it ends."""
        self._turns[turn.message_id] = turn
        self._tell(turn, typing=True)
        try:
            yield
        finally:
            self._turns.pop(turn.message_id, None)
            self._tell(turn, typing=False)

    async def renew(self) -> None:
        """Say it again for as long as it is so, until cancelled."""
        while True:
            await asyncio.sleep(RENEWED_EVERY)
            for turn in list(self._turns.values()):
                self._tell(turn, typing=True)

    def _tell(self, turn: RunTurn, *, typing: bool) -> None:
        changed = TypingChanged(
            session_id=turn.session_id, sender_type="chatbot", sender_id=turn.chatbot_id, typing=typing
        )
        key = session_key(ids.partition(turn.session_id, self._partitions))
        self._bus.stream(DELIVERY, key, Event(SOURCE, changed, str(turn.session_id)))

"""Replies under way, as the gateways are told of them on `chat.delivery`."""

from __future__ import annotations

import asyncio

from chatbot_worker.replies.delta_batcher import Gusts
from chatbot_worker.rules.reply_text import ReplyText, Update
from shared.contracts.envelope import Event
from shared.contracts.events import ReplyStreamed
from shared.contracts.topology import session_key
from shared.contracts.turns import RunTurn

SOURCE = "chatbot_worker"  # of every event of ours
SNAPSHOT_EVERY = 0.9  # seconds of streaming; the contract promises one within 1 s


class InstantReply:
    """One attempt without pauses: nothing to stream, its message comes at once (at interval 0 each piece is told)."""

    def __init__(self, gusts: Gusts, turn: RunTurn, *, attempt: int, partition: int, interval: float) -> None:
        self.text = ReplyText()
        self._gusts = gusts
        self._turn = turn
        self._attempt = attempt
        self._key = session_key(partition)
        self._subject = str(turn.session_id)
        self._interval = interval
        self._name = f"{turn.message_id}/{attempt}"
        self._told = 0

    def add(self, piece: str) -> None:
        """Take the next piece."""
        self.text.add(piece)
        if not self._interval:
            self._tell()

    def close(self) -> None:
        """Tell what is left."""
        self._gusts.flush()

    def _tell(self) -> None:
        if (update := self.text.delta()) is not None:
            self._send(update)

    def _send(self, update: Update) -> None:
        turn = self._turn
        streamed = ReplyStreamed(
            session_id=turn.session_id,
            message_id=turn.message_id,
            chatbot_id=turn.chatbot_id,
            attempt=self._attempt,
            offset=update.offset,
            text=update.text,
            snapshot=update.snapshot,
        )
        self._told += 1
        event = Event(SOURCE, streamed, self._subject, id=f"{self._name}/{self._told}")  # much cheaper than a UUID
        self._gusts.tell(self._key, event)


class LiveReply(InstantReply):
    """One attempt with pauses: the first text at once, then at most once an interval; the whole text each second."""

    def __init__(self, gusts: Gusts, turn: RunTurn, *, attempt: int, partition: int, interval: float) -> None:
        super().__init__(gusts, turn, attempt=attempt, partition=partition, interval=interval)
        self._loop = asyncio.get_running_loop()
        self._next_at = 0.0  # loop time from which the next update may go
        self._flush: asyncio.TimerHandle | None = None
        self._whole: asyncio.TimerHandle | None = None

    def add(self, piece: str) -> None:
        """Take the next piece, and tell it now or with those that follow within the interval."""
        self.text.add(piece)
        if not self._interval or self._loop.time() >= self._next_at:
            self._tell()
        elif self._flush is None:
            self._flush = self._loop.call_at(self._next_at, self._tell)
        if self._whole is None and self.text.length:
            self._whole = self._loop.call_later(SNAPSHOT_EVERY, self._tell_whole)

    def close(self) -> None:
        """Tell what is left and stop."""
        if self._whole is not None:
            self._whole.cancel()
        self._tell()
        super().close()

    def _tell(self) -> None:
        self._settle()
        super()._tell()

    def _tell_whole(self) -> None:
        self._settle()
        self._send(self.text.snapshot())
        self._whole = self._loop.call_later(SNAPSHOT_EVERY, self._tell_whole)

    def _settle(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        self._next_at = self._loop.time() + self._interval

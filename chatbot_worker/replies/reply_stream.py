"""Streams the text of a reply under way to the gateways, as `message_delta` events on `chat.delivery`."""

from __future__ import annotations

import asyncio

from chatbot_worker.replies.delta_batcher import DeltaBatcher
from chatbot_worker.rules.reply_text import ReplyText, Update
from shared.contracts.envelope import Event
from shared.contracts.events import ReplyStreamed
from shared.contracts.topology import session_key
from shared.contracts.turns import RunTurn

SOURCE = "chatbot_worker"  # of every event that this service publishes
SNAPSHOT_INTERVAL = 0.9  # seconds; the contract promises a snapshot within 1 s of streaming


class ReplyStream:
    """The text of one attempt, and what of it is published.

    Until `start` the text is only collected: a reply that is complete by then needs no delta. From then on the first
    text is published at once and further text at most once in `interval` seconds; the whole text follows as a
    snapshot each `SNAPSHOT_INTERVAL`. With an interval of 0 (`unpaced`) every piece is published as it comes, also
    before `start`.
    """

    def __init__(self, batcher: DeltaBatcher, turn: RunTurn, *, attempt: int, partition: int, interval: float) -> None:
        self.text = ReplyText()
        self._batcher = batcher
        self._turn = turn
        self._attempt = attempt
        self._key = session_key(partition)
        self._subject = ""  # the session's id, and
        self._name = ""  # what the ids of the events begin with: made for the first event
        self.unpaced = not interval
        self._interval = interval
        self._started = False
        self._closed = False
        self._published = 0  # events
        self._next_at = 0.0  # loop time from which the next delta may be published
        self._delta_timer: asyncio.TimerHandle | None = None
        self._snapshot_timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Publish the text so far, and from now on what is added."""
        if not self._started and not self._closed:
            self._started = True
            self._publish_when_due()

    def add(self, piece: str) -> None:
        """Add the next piece of the reply."""
        self.text.add(piece)
        if self._started:
            self._publish_when_due()
        elif self.unpaced:
            self._publish_delta()

    def replace(self, content: str) -> None:
        """Replace the text so far. What has been published is corrected at once, by a snapshot."""
        self.text.replace(content)
        if self._published:
            self._restart_interval()
            self._publish(self.text.snapshot())
        elif self._started:
            self._publish_when_due()

    def close(self) -> None:
        """Publish what is pending, and end the timers. Nothing is published after that."""
        self._closed = True
        self.text.finish()
        if self._snapshot_timer is not None:
            self._snapshot_timer.cancel()
        if self._started:
            self._publish_delta()
        if self._published:
            self._batcher.flush()

    def _publish_when_due(self) -> None:
        if not self.text.length:
            return
        loop = asyncio.get_running_loop()
        if loop.time() >= self._next_at:
            self._publish_delta()
        elif self._delta_timer is None:
            self._delta_timer = loop.call_at(self._next_at, self._publish_delta)
        if self._snapshot_timer is None:
            self._snapshot_timer = loop.call_later(SNAPSHOT_INTERVAL, self._publish_snapshot)

    def _publish_delta(self) -> None:
        self._restart_interval()
        if (update := self.text.delta()) is not None:
            self._publish(update)

    def _publish_snapshot(self) -> None:
        self._restart_interval()
        self._publish(self.text.snapshot())
        self._snapshot_timer = asyncio.get_running_loop().call_later(SNAPSHOT_INTERVAL, self._publish_snapshot)

    def _restart_interval(self) -> None:
        if self._delta_timer is not None:
            self._delta_timer.cancel()
            self._delta_timer = None
        if self._interval:
            self._next_at = asyncio.get_running_loop().time() + self._interval

    def _publish(self, update: Update) -> None:
        turn = self._turn
        if not self._published:
            self._subject, self._name = str(turn.session_id), f"{turn.message_id}/{self._attempt}"
        streamed = ReplyStreamed(
            session_id=turn.session_id,
            message_id=turn.message_id,
            chatbot_id=turn.chatbot_id,
            attempt=self._attempt,
            offset=update.offset,
            text=update.text,
            snapshot=update.snapshot,
        )
        self._published += 1
        event_id = f"{self._name}/{self._published}"  # costs much less than a UUID
        self._batcher.stream(self._key, Event(SOURCE, streamed, self._subject, event_id))

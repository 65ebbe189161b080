"""Streams one text of a reply under way to the gateways, as deltas on `chat.delivery`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from chatbot_worker.rules.reply_text import ReplyText, Update

SNAPSHOT_INTERVAL = 0.9  # seconds; the contract promises a snapshot within 1 s of streaming


class TextStream:
    """A text, and what of it is published.

    Until `start` the text is only collected: a reply that is complete by then needs no delta. From then on the first
    text is published at once and further text at most once in `interval` seconds; the whole text follows as a
    snapshot each `SNAPSHOT_INTERVAL`. With an interval of 0 every piece is published as it comes, also before `start`.

    Args:
        text: collects the pieces.
        publish: publishes an update. The second argument is the number of updates so far, this one included.
        interval: seconds between two deltas.
    """

    def __init__(self, text: ReplyText, publish: Callable[[Update, int], None], interval: float) -> None:
        self.text = text
        self.published = 0  # updates
        self._publish_update = publish
        self._interval = interval
        self._started = False
        self._closed = False
        self._next_at = 0.0  # loop time from which the next delta may be published
        self._delta_timer: asyncio.TimerHandle | None = None
        self._snapshot_timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Publish the text so far, and from now on what is added."""
        if not self._started and not self._closed:
            self._started = True
            self._publish_when_due()

    def add(self, piece: str) -> None:
        """Add the next piece."""
        self.text.add(piece)
        if self._started:
            self._publish_when_due()
        elif not self._interval:
            self._publish_delta()

    def replace(self, text: str) -> None:
        """Replace the text so far. What has been published is corrected at once, by a snapshot."""
        self.text.replace(text)
        if self.published:
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
        self.published += 1
        self._publish_update(update, self.published)

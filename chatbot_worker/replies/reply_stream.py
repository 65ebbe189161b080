"""Streams a reply under way to the gateways: its text as `message_delta`, its reasoning as `reasoning_delta` events."""

from __future__ import annotations

from chatbot_worker.replies.delta_batcher import DeltaBatcher
from chatbot_worker.replies.text_stream import TextStream
from chatbot_worker.rules.reply_text import ReasoningText, ReplyText, Update
from shared.contracts.envelope import Event
from shared.contracts.events import ReasoningStreamed, ReplyStreamed, StreamedText
from shared.contracts.topology import session_key
from shared.contracts.turns import RunTurn

SOURCE = "chatbot_worker"  # of every event that this service publishes


class ReplyStream:
    """The text and the reasoning of one attempt, and what of them is published. See `TextStream`.

    With an interval of 0 (`unpaced`) every piece is published as it comes.
    """

    def __init__(self, batcher: DeltaBatcher, turn: RunTurn, *, attempt: int, partition: int, interval: float) -> None:
        self._batcher = batcher
        self._turn = turn
        self._attempt = attempt
        self._key = session_key(partition)
        self._subject = ""  # the session's id, and
        self._name = ""  # what the ids of the events begin with: made for the first event
        self.unpaced = not interval
        self._interval = interval
        self._started = False
        self._content = TextStream(ReplyText(), self._publish_text, interval)
        self._reasoning: TextStream | None = None  # most replies have none

    @property
    def text(self) -> ReplyText:
        """The text so far."""
        return self._content.text

    @property
    def reasoning(self) -> str:
        """The reasoning so far."""
        return "" if self._reasoning is None else self._reasoning.text.content

    def start(self) -> None:
        """Publish what there is so far, and from now on what is added."""
        self._started = True
        if self._reasoning is not None:
            self._reasoning.start()
        self._content.start()

    def add(self, piece: str) -> None:
        """Add the next piece of the reply."""
        self._content.add(piece)

    def add_reasoning(self, piece: str) -> None:
        """Add the next piece of the reasoning. It is cut at the length that can be stored."""
        if self._reasoning is None:
            self._reasoning = TextStream(ReasoningText(), self._publish_reasoning, self._interval)
            if self._started:
                self._reasoning.start()
        self._reasoning.add(piece)

    def replace(self, content: str, reasoning: str) -> None:
        """Replace what there is so far."""
        self._content.replace(content)
        if self._reasoning is not None:
            self._reasoning.replace(reasoning)
        elif reasoning:
            self.add_reasoning(reasoning)

    def close(self) -> None:
        """Publish what is pending, and end the timers. Nothing is published after that."""
        if self._reasoning is not None:
            self._reasoning.close()
        self._content.close()
        if self._name:
            self._batcher.flush()

    def _publish_text(self, update: Update, number: int) -> None:
        self._publish(ReplyStreamed, update, str(number))

    def _publish_reasoning(self, update: Update, number: int) -> None:
        self._publish(ReasoningStreamed, update, f"r{number}")

    def _publish(self, kind: type[StreamedText], update: Update, number: str) -> None:
        turn = self._turn
        if not self._name:
            self._subject, self._name = str(turn.session_id), f"{turn.message_id}/{self._attempt}"
        streamed = kind(
            session_id=turn.session_id,
            message_id=turn.message_id,
            chatbot_id=turn.chatbot_id,
            attempt=self._attempt,
            offset=update.offset,
            text=update.text,
            snapshot=update.snapshot,
        )
        event_id = f"{self._name}/{number}"  # costs much less than a UUID
        self._batcher.stream(self._key, Event(SOURCE, streamed, self._subject, event_id))

"""What the chatbot worker counts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """The metrics of all chatbots of one worker. `of` a chatbot: its own children, looked up once."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._turns = Counter(
            "backchat_chatbot_turns",
            "Turns that ended here; closed: was over already; dead: could not be read",
            ["chatbot", "status"],
            registry=registry,
        )
        self._first = Histogram(
            "backchat_chatbot_first_token_seconds",
            "From the start of a turn here to its first text",
            ["chatbot"],
            registry=registry,
            buckets=SECONDS,
        )
        self._duration = Histogram(
            "backchat_chatbot_turn_seconds",
            "From the start of a turn here to the end of its text",
            ["chatbot"],
            registry=registry,
            buckets=SECONDS,
        )
        self._running = Gauge(
            "backchat_chatbot_turns_running", "Turns being answered now", ["chatbot"], registry=registry
        )

    def of(self, chatbot_id: str) -> ChatbotMetrics:
        """The metrics of one chatbot."""
        return ChatbotMetrics(chatbot_id, self._turns, self._first, self._duration, self._running)


class ChatbotMetrics:
    """The metrics of one chatbot. Durations in seconds."""

    def __init__(self, chatbot_id: str, turns: Counter, first: Histogram, duration: Histogram, running: Gauge) -> None:
        statuses = ("complete", "stopped", "failed", "closed", "handed_back", "dead")
        self._turns = {status: turns.labels(chatbot_id, status) for status in statuses}
        self.first_token = first.labels(chatbot_id)
        self.duration = duration.labels(chatbot_id)
        self.running = running.labels(chatbot_id)

    def ended(self, status: str, turns: int = 1) -> None:
        """Count turns that ended so."""
        self._turns[status].inc(turns)

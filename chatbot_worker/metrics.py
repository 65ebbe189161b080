"""The metrics of the chatbot worker."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
LABEL = ["chatbot"]


class Metrics:
    """The metrics of all chatbots of one worker, labelled by chatbot id."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.turns = Counter(
            "backchat_chatbot_turns",
            "Turns that ended here; closed: was over already; dead: could not be read",
            ["chatbot", "status"],
            registry=registry,
        )
        self.first_token = _seconds("first_token", "From the start of a try to its first text", registry)
        self.duration = _seconds("turn", "From the start of a try to the end of its text", registry)
        self.running = Gauge("backchat_chatbot_turns_running", "Turns being answered now", LABEL, registry=registry)
        self.waiting = Gauge("backchat_chatbot_turns_waiting", "Turns waiting for others", LABEL, registry=registry)
        self.failures = Counter("backchat_chatbot_tries_failed", "Tries that failed", LABEL, registry=registry)
        self.stand_ins = Counter("backchat_chatbot_stand_ins", "Turns its fallback answered", LABEL, registry=registry)
        self.circuit = Gauge("backchat_chatbot_circuit_open", "1 while it is left alone", LABEL, registry=registry)
        self.left_out = Counter(
            "backchat_chatbot_context_left_out",
            "Messages of a turn's context that its chatbot was not shown and that are in no summary",
            LABEL,
            registry=registry,
        )
        self.summaries = Counter(
            "backchat_chatbot_summaries",
            "Summaries of what lies further back, made by the chatbot after a reply",
            ["chatbot", "outcome"],
            registry=registry,
        )

    def of(self, chatbot_id: str) -> ChatbotMetrics:
        """Return the metrics of one chatbot, whose labelled children are looked up once."""
        return ChatbotMetrics(chatbot_id, self)

    def forget(self, chatbot_id: str) -> None:
        """Remove the metrics of a chatbot that has left the catalogue."""
        for status in STATUSES:
            self.turns.remove(chatbot_id, status)
        for outcome in OUTCOMES:
            self.summaries.remove(chatbot_id, outcome)
        for metric in self._by_chatbot():
            metric.remove(chatbot_id)

    def _by_chatbot(self) -> list[MetricWrapperBase]:
        gauges = [self.running, self.waiting, self.circuit]
        return [self.first_token, self.duration, self.failures, self.stand_ins, self.left_out, *gauges]


OUTCOMES = ("kept", "failed")
STATUSES = ("complete", "stopped", "failed", "closed", "handed_back", "dead")


class ChatbotMetrics:
    """The metrics of one chatbot. Durations in seconds."""

    def __init__(self, chatbot_id: str, metrics: Metrics) -> None:
        self._turns = {status: metrics.turns.labels(chatbot_id, status) for status in STATUSES}
        self.first_token = metrics.first_token.labels(chatbot_id)
        self.duration = metrics.duration.labels(chatbot_id)
        self.running = metrics.running.labels(chatbot_id)
        self.waiting = metrics.waiting.labels(chatbot_id)
        self.failures = metrics.failures.labels(chatbot_id)
        self.stand_ins = metrics.stand_ins.labels(chatbot_id)
        self.circuit = metrics.circuit.labels(chatbot_id)
        self.left_out = metrics.left_out.labels(chatbot_id)
        self._summaries = {outcome: metrics.summaries.labels(chatbot_id, outcome) for outcome in OUTCOMES}

    def ended(self, status: str, turns: int = 1) -> None:
        """Count turns that ended with this status."""
        self._turns[status].inc(turns)

    def summarized(self, outcome: str) -> None:
        """Count a summary."""
        self._summaries[outcome].inc()


def _seconds(what: str, means: str, registry: CollectorRegistry) -> Histogram:
    return Histogram(f"backchat_chatbot_{what}_seconds", means, LABEL, registry=registry, buckets=SECONDS)

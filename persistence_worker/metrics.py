"""The metrics of the persistence worker."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500)  # commands
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """The metrics of one worker, in its registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.stored = Counter("backchat_messages_stored", "Stored messages", ["sender_type"], registry=registry)
        self.batch = Histogram("backchat_batch_commands", "Commands per transaction", buckets=SIZES, registry=registry)
        self.transaction = Histogram(
            "backchat_transaction_seconds",
            "Duration of a transaction, from the first lock to the commit",
            buckets=SECONDS,
            registry=registry,
        )
        self.turns_republished = Counter("backchat_turns_republished", "Republished overdue turns", registry=registry)
        self.dead_letters = Counter(
            "backchat_poison_events", "Poison events moved to a dead-letter queue", ["queue"], registry=registry
        )
        self.stops_unanswered = Counter(
            "backchat_stops_unanswered",
            "Turns ended as stopped because no chatbot worker answered their stop",
            registry=registry,
        )
        self.erasures = Counter("backchat_accounts_erased", "Deleted accounts whose erasure started", registry=registry)
        self.turns_open = Gauge("backchat_turns_open", "Open turns", registry=registry)
        self.queries = Histogram(
            "backchat_query_seconds", "Duration of a query, by type", ["type"], buckets=SECONDS, registry=registry
        )

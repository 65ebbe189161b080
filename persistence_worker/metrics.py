"""What a persistence worker counts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """The metrics of one worker in its registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.stored = Counter("backchat_messages_stored", "Messages stored", ["sender_type"], registry=registry)
        self.batch = Histogram(
            "backchat_batch_commands", "Commands of one transaction", buckets=SIZES, registry=registry
        )
        self.transaction = Histogram(
            "backchat_transaction_seconds", "From the first lock to the commit", buckets=SECONDS, registry=registry
        )
        self.repeated = Counter("backchat_turns_republished", "Turns published again", registry=registry)
        self.dead_letters = Counter(
            "backchat_poison_events", "Poison events moved to a dead-letter queue", ["queue"], registry=registry
        )
        self.cut = Counter(
            "backchat_stops_unanswered", "Replies stored as stopped since no worker answered a stop", registry=registry
        )
        self.erased = Counter("backchat_accounts_erased", "Deleted accounts taken up for erasure", registry=registry)
        self.turns_open = Gauge("backchat_turns_open", "Turns that wait for their reply", registry=registry)
        self.queries = Histogram(
            "backchat_query_seconds", "Reads, by type", ["type"], buckets=SECONDS, registry=registry
        )

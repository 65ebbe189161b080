"""The metrics of a RabbitMQ bus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram


class BusMetrics:
    """Counters of one bus; without a registry they are not exported."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        registry = registry or CollectorRegistry(auto_describe=False)
        self.published = Counter(
            "backchat_bus_published", "Events sent to the broker, repeats included", registry=registry
        )
        self.confirmed = Counter("backchat_bus_confirmed", "Events that the broker confirmed", registry=registry)
        self.refused = Counter(
            "backchat_bus_refused",
            "Events refused: queue full, unroutable, or over the bound of the process",
            registry=registry,
        )
        self.unknown = Counter(
            "backchat_bus_unknown", "Events whose outcome was unknown after the publish timeout", registry=registry
        )
        self.dropped = Counter("backchat_bus_dropped", "Transient events dropped by the process", registry=registry)
        self.losses = Counter("backchat_bus_connection_losses", "Lost connections to the broker", registry=registry)
        self.batch_size = Histogram(
            "backchat_bus_batch_events",
            "Events in one publication",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
            registry=registry,
        )

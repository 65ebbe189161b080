"""Prometheus metrics of the gateway."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

ACK_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The metrics, on one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, words: str, *labels: str) -> Counter:
            return Counter(f"backchat_gateway_{name}", words, labels, registry=registry)

        def gauge(name: str, words: str) -> Gauge:
            return Gauge(f"backchat_gateway_{name}", words, registry=registry)

        self.sockets = gauge("sockets", "Authenticated sockets")
        self.streams = gauge("streams", "Open streams of Server-Sent Events")
        self.connections = gauge("connections", "Engine.IO sessions, authenticated or not")
        self.handshakes = gauge("handshakes", "Unauthenticated connections")
        self.in_flight = gauge("events_in_flight", "Unanswered client events")
        self.sessions = gauge("sessions_served", "Sessions kept in memory")
        self.connects = counter("connects", "Connect attempts by outcome", "code")
        self.sessions_refused = counter("sessions_refused", "Engine.IO sessions refused before opening", "reason")
        self.events = counter("events", "Client events by name and outcome", "event", "code")
        self.ack_seconds = Histogram(
            "backchat_gateway_ack_seconds",
            "Time from a client event to its ack",
            ("event",),
            buckets=ACK_SECONDS,
            registry=registry,
        )
        self.malformed = counter("malformed_packets", "Malformed packets from clients")
        self.dismissed = counter("sockets_dismissed", "Sockets disconnected by the gateway, by reason", "reason")
        self.revoked_logins = gauge("revoked_logins", "Revoked logins whose tokens may be unexpired")
        self.aborted = counter("connections_aborted", "Connections closed by the gateway, by reason", "reason")
        self.delivered = counter("deliveries", "Events from the delivery queue by type", "type")
        self.released = counter("changes_released", "Stored changes sent to joined sockets")
        self.gaps = counter("delivery_gaps", "Times that deliveries may have been lost")
        self.catch_ups = counter("catch_ups", "Catch-up reads by outcome", "outcome")
        self._event_series: dict[tuple[str, str], tuple[Counter, Histogram]] = {}

    def event_answered(self, event: str, code: str, seconds: float) -> None:
        """Count a client event that was acked with `code` (or `ok`) after so many seconds."""
        series = self._event_series.get((event, code))
        if series is None:
            series = self._event_series[event, code] = (self.events.labels(event, code), self.ack_seconds.labels(event))
        series[0].inc()
        series[1].observe(seconds)

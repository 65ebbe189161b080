"""Prometheus metrics of the auth service."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

HASHING_BUCKETS = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.0)  # seconds


class Metrics:
    """The metrics of one service on one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registrations = Counter(
            "backchat_auth_registrations", "Registrations by result", ["result"], registry=registry
        )
        self.logins = Counter("backchat_auth_logins", "Logins by result", ["result"], registry=registry)
        self.hashing_seconds = Histogram(
            "backchat_auth_hashing_seconds",
            "Duration of a passcode hash, without waiting",
            buckets=HASHING_BUCKETS,
            registry=registry,
        )
        self.hashing_refusals = Counter(
            "backchat_auth_hashing_refusals", "Passcodes refused because the hashing queue was full", registry=registry
        )
        self.refreshes = Counter(
            "backchat_auth_refreshes", "Refresh tokens presented, by verdict", ["result"], registry=registry
        )
        self.service_tokens = Counter(
            "backchat_auth_service_tokens",
            "Tokens requested by services, by result",
            ["result"],
            registry=registry,
        )
        self.throttled = Counter(
            "backchat_auth_throttled", "Requests refused by the throttle", ["what"], registry=registry
        )
        for result in ("ok", "failed"):
            self.logins.labels(result)
            self.registrations.labels(result)
            self.service_tokens.labels(result)

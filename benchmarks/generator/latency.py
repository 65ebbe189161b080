"""Percentiles of latencies. Pure."""

from __future__ import annotations

from collections.abc import Sequence

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


def percentile(ascending: Sequence[float], quantile: float) -> float:
    """The nearest-rank percentile of values in ascending order."""
    return ascending[min(len(ascending) - 1, int(len(ascending) * quantile))]


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Percentiles and maximum in milliseconds; empty if there is nothing to summarise."""
    if not seconds:
        return {}
    ascending = sorted(seconds)
    found = {name: percentile(ascending, quantile) for name, quantile in QUANTILES.items()} | {"max": ascending[-1]}
    return {name: round(value * 1e3, 3) for name, value in found.items()}

"""`python -m benchmarks micro`: microseconds of the small things that a turn does many times."""

from __future__ import annotations


def main() -> None:
    """Print them."""

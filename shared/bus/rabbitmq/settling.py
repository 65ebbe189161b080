"""Which acknowledgements settle a set of deliveries: pure."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet


def acknowledgements(unsettled: Iterable[int], settled: AbstractSet[int]) -> list[tuple[int, bool]]:
    """The (delivery tag, multiple) to send, given all unsettled tags in order of delivery.

    What is contiguous from the oldest goes in one `multiple`; the rest singly.
    """
    last = 0
    count = 0
    for tag in unsettled:
        if tag not in settled:
            break
        last = tag
        count += 1
    found = [(last, count > 1)] if count else []
    if count < len(settled):
        found += [(tag, False) for tag in sorted(settled) if tag > last]
    return found

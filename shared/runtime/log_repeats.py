"""Writes one kind of event once a minute, with the number of its repetitions.

An event belongs to a kind if it is logged with a `collapse` field: `logger.warning("x.failed", reason=r, collapse=r)`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

import structlog

WINDOW = 60.0  # seconds
KINDS_MAX = 1_000  # of all events, as of many client addresses; further ones are one kind of each event
OTHERS = "others"


@dataclass(slots=True)
class _Kind:
    until: float  # monotonic
    logger: str
    level: str
    fields: dict[str, Any]
    repeated: int = 0


class Repeats:
    """A processor of structlog. Thread-safe."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], _Kind] = {}
        self._lock = threading.Lock()

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Pass on the first event of a kind, and drop its repetitions in the same minute."""
        if (collapse := event.pop("collapse", None)) is None:
            return event
        now = time.monotonic()
        with self._lock:
            name = (str(event["event"]), str(collapse))
            if name not in self._kinds and len(self._kinds) >= KINDS_MAX:
                name = (name[0], OTHERS)
            kind = self._kinds.get(name)
            if kind is not None and now < kind.until:
                kind.repeated += 1
                raise structlog.DropEvent
            repeated = kind.repeated if kind else 0
            self._kinds[name] = _Kind(now + WINDOW, logger.name, method, dict(event))
        if repeated:
            event["repeated"] = repeated
        return event

    def flush(self) -> None:
        """Log the kinds whose minute is over, with their number of repetitions."""
        now = time.monotonic()
        with self._lock:
            over = {name: kind for name, kind in self._kinds.items() if now >= kind.until}
            for name in over:
                del self._kinds[name]
        for kind in over.values():
            if kind.repeated:
                getattr(structlog.get_logger(kind.logger), kind.level)(**kind.fields, repeated=kind.repeated)

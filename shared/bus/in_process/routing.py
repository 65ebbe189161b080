"""Bindings and routing: direct, fanout and topic exchanges, as in AMQP 0-9-1 §3.1.3. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from shared.contracts.topology import DIRECT, Exchange

Q = TypeVar("Q")


def matches(pattern: str, key: str) -> bool:
    """Whether a topic pattern takes a key: `*` is one word, `#` any number of words; dots separate words."""
    return _match(pattern.split("."), key.split("."))


def _match(pattern: list[str], words: list[str]) -> bool:
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(_match(pattern[1:], words[skip:]) for skip in range(len(words) + 1))
    return bool(words) and pattern[0] in {"*", words[0]} and _match(pattern[1:], words[1:])


class Routes(Generic[Q]):
    """The bindings of all exchanges. Every queue is also bound to the default exchange by its name."""

    def __init__(self) -> None:
        self._bindings: dict[str, dict[str, dict[Q, None]]] = {}  # exchange, key, queues in order of binding

    def bind(self, exchange: Exchange, key: str, queue: Q) -> None:
        """Add a binding, unless it exists."""
        self._bindings.setdefault(exchange.name, {}).setdefault(key, {})[queue] = None

    def unbind(self, exchange: Exchange, key: str, queue: Q) -> None:
        """Remove a binding, if it exists."""
        keys = self._bindings.get(exchange.name, {})
        queues = keys.get(key, {})
        queues.pop(queue, None)
        if not queues:
            keys.pop(key, None)

    def remove(self, queue: Q) -> None:
        """Remove all bindings of a queue."""
        for keys in self._bindings.values():
            for key in [key for key, queues in keys.items() if queue in queues]:
                del keys[key][queue]
                if not keys[key]:
                    del keys[key]

    def find(self, exchange: Exchange, key: str) -> Iterable[Q]:
        """Return the queues that a message reaches, each once."""
        keys = self._bindings.get(exchange.name)
        if not keys:
            return ()
        if exchange.kind == "direct" or exchange is DIRECT:
            return keys.get(key, ())
        taken = (queues for bound, queues in keys.items() if exchange.kind == "fanout" or matches(bound, key))
        return dict.fromkeys(queue for queues in taken for queue in queues)

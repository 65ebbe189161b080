"""Admission: how many connections there may be, from one address, and of which nobody knows yet whose they are.

After a gateway's death its clients come to the others all at once. What is over the bounds is refused where
a session is opened, before it costs much, in the form after which a stock client tries again by itself.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from starlette.types import Scope

from chat_gateway.settings import GatewaySettings
from shared.http.forwarded_headers import TrustedProxies, address_block


class CountedConnection(Protocol):
    """A connection. `address` is its client's, as `Admission.source` says it."""

    address: str


class Admission:
    """The connections, and those whose handshake is under way, in all and by address."""

    def __init__(self, settings: GatewaySettings) -> None:
        limited = settings.limits == "on"
        self._proxies = TrustedProxies(settings.trusted_proxies)
        self._max = settings.handshakes
        self._max_per_address = settings.handshakes_per_address if limited else settings.handshakes
        self._connections_per_address = settings.connections_per_address if limited else None
        self._handshakes: set[CountedConnection] = set()
        self._handshakes_of: Counter[str] = Counter()
        self._connections: set[CountedConnection] = set()
        self._connections_of: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._handshakes)

    def source(self, scope: Scope) -> str:
        """What connections are counted by: the client's address, of an IPv6 address its /64."""
        return address_block(self._proxies.client(scope))

    def refusal(self, address: str) -> str | None:
        """Why nobody more may come in, or nobody more from there: `full` or `crowded`."""
        if self._connections_per_address is not None and self._connections_of[address] >= self._connections_per_address:
            return "crowded"
        if len(self._handshakes) >= self._max or self._handshakes_of[address] >= self._max_per_address:
            return "full"
        return None

    def connection_opened(self, connection: CountedConnection) -> None:
        """A connection was made."""
        if connection not in self._connections:
            self._connections.add(connection)
            self._connections_of[connection.address] += 1

    def connection_closed(self, connection: CountedConnection) -> None:
        """It has ended."""
        if connection in self._connections:
            self._connections.discard(connection)
            _decrement(self._connections_of, connection.address)

    def handshake_started(self, connection: CountedConnection) -> None:
        """A handshake begins."""
        if connection not in self._handshakes:
            self._handshakes.add(connection)
            self._handshakes_of[connection.address] += 1

    def handshake_ended(self, connection: CountedConnection) -> None:
        """It is known who that is, or the connection is gone."""
        if connection in self._handshakes:
            self._handshakes.discard(connection)
            _decrement(self._handshakes_of, connection.address)


def _decrement(counts: Counter[str], address: str) -> None:
    counts[address] -= 1
    if not counts[address]:
        del counts[address]

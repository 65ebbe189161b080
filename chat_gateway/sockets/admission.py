"""Admission: bounds on connections and on unauthenticated handshakes, in total and by client address.

After a crash of one gateway all its clients reconnect elsewhere at the same time. Connections over a bound are
refused before an Engine.IO session is opened, with an answer after which a stock client retries automatically.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from starlette.types import Scope

from chat_gateway.settings import GatewaySettings
from shared.http.forwarded_headers import TrustedProxies, address_block


class CountedConnection(Protocol):
    """A connection as `Admission` counts it. `address` is a result of `Admission.source`."""

    address: str


class Admission:
    """Counts the connections and the unauthenticated handshakes, in total and by address."""

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
        """Return the address by which a request is counted: the client's, for IPv6 its /64 prefix."""
        return address_block(self._proxies.client(scope))

    def refusal(self, address: str) -> str | None:
        """Return why a connection from `address` must be refused, or `None`.

        `crowded`: too many connections from the address. `full`: too many handshakes, in total or from the address.
        """
        if self._connections_per_address is not None and self._connections_of[address] >= self._connections_per_address:
            return "crowded"
        if len(self._handshakes) >= self._max or self._handshakes_of[address] >= self._max_per_address:
            return "full"
        return None

    def connection_opened(self, connection: CountedConnection) -> None:
        """Count an open connection; repeated calls count once."""
        if connection not in self._connections:
            self._connections.add(connection)
            self._connections_of[connection.address] += 1

    def connection_closed(self, connection: CountedConnection) -> None:
        """Stop counting a connection."""
        if connection in self._connections:
            self._connections.discard(connection)
            _decrement(self._connections_of, connection.address)

    def handshake_started(self, connection: CountedConnection) -> None:
        """Count a connection as unauthenticated; repeated calls count once."""
        if connection not in self._handshakes:
            self._handshakes.add(connection)
            self._handshakes_of[connection.address] += 1

    def handshake_ended(self, connection: CountedConnection) -> None:
        """Stop counting a handshake: the client is authenticated, or its connection is closed."""
        if connection in self._handshakes:
            self._handshakes.discard(connection)
            _decrement(self._handshakes_of, connection.address)


def _decrement(counts: Counter[str], address: str) -> None:
    counts[address] -= 1
    if not counts[address]:
        del counts[address]

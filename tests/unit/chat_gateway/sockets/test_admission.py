"""Bounds on connections and handshakes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chat_gateway.settings import GatewaySettings
from chat_gateway.sockets.admission import Admission


@dataclass(eq=False)
class FakeConnection:
    address: str


def admission(**settings: Any) -> Admission:
    return Admission(GatewaySettings(**{"handshakes": 3, "handshakes_per_address": 2, **settings}))


def test_one_address_cannot_use_all_handshakes() -> None:
    door = admission()
    crowd = [FakeConnection("a"), FakeConnection("a")]
    for connection in crowd:
        assert door.refusal("a") is None
        door.handshake_started(connection)
    assert door.refusal("a") == "full"
    assert door.refusal("b") is None
    door.handshake_started(FakeConnection("b"))
    assert door.refusal("c") == "full"
    door.handshake_ended(crowd[0])
    assert door.refusal("a") is None
    assert door.refusal("c") is None


def test_connections_per_address_are_bounded() -> None:
    """Authenticated or not; another address does not feel it."""
    door = admission(connections_per_address=2)
    crowd = [FakeConnection("a"), FakeConnection("a")]
    for connection in crowd:
        assert door.refusal("a") is None
        door.connection_opened(connection)
        door.connection_opened(connection)
    assert door.refusal("a") == "crowded"
    assert door.refusal("b") is None
    door.connection_closed(crowd[0])
    door.connection_closed(crowd[0])
    assert door.refusal("a") is None


def test_thousand_sockets_behind_one_address_are_admitted() -> None:
    """An office behind one address: by default all are admitted, also at the same time."""
    door = Admission(GatewaySettings())
    for _ in range(1_000):
        assert door.refusal("a") is None
        connection = FakeConnection("a")
        door.connection_opened(connection)
        door.handshake_started(connection)


def test_source_is_the_client_behind_trusted_proxies() -> None:
    scope = {"client": ("10.0.0.1", 1), "headers": [(b"x-forwarded-for", b"1.1.1.1, 2001:db8::1")]}
    assert admission(trusted_proxies="10.0.0.0/8").source(scope) == "2001:db8::/64"
    assert admission().source(scope) == "10.0.0.1"


def test_repeated_calls_count_a_connection_once() -> None:
    door, connection = admission(), FakeConnection("a")
    for _ in range(2):
        door.handshake_started(connection)
    assert len(door) == 1
    for _ in range(2):
        door.handshake_ended(connection)
    assert len(door) == 0
    assert not door._handshakes_of


def test_without_limits_only_the_total_is_bounded() -> None:
    door = admission(limits="off", connections_per_address=1)
    for _ in range(3):
        assert door.refusal("a") is None
        connection = FakeConnection("a")
        door.connection_opened(connection)
        door.handshake_started(connection)
    assert door.refusal("a") == "full"

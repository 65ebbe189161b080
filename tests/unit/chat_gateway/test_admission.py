"""How many may be at the door."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chat_gateway.admission import Admission
from chat_gateway.settings import GatewaySettings


@dataclass(eq=False)
class Newcomer:
    address: str


def admission(**settings: Any) -> Admission:
    return Admission(GatewaySettings(**{"handshakes": 3, "handshakes_per_address": 2, **settings}))


def test_an_address_may_not_take_all_the_room() -> None:
    door = admission()
    crowd = [Newcomer("a"), Newcomer("a")]
    for newcomer in crowd:
        assert not door.is_full("a")
        door.begin(newcomer)
    assert door.is_full("a")
    assert not door.is_full("b")
    door.begin(Newcomer("b"))
    assert door.is_full("c")
    door.end(crowd[0])
    assert not door.is_full("a")
    assert not door.is_full("c")


def test_everybody_counts_once() -> None:
    door, newcomer = admission(), Newcomer("a")
    for _ in range(2):
        door.begin(newcomer)
    assert len(door) == 1
    for _ in range(2):
        door.end(newcomer)
    assert len(door) == 0
    assert not door._of_address


def test_without_limits_only_the_room_in_all_counts() -> None:
    door = admission(limits="off")
    for _ in range(3):
        assert not door.is_full("a")
        door.begin(Newcomer("a"))
    assert door.is_full("a")

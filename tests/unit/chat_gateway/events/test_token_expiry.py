"""Warning and disconnect by the time of day, which may be set while a timer runs."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import orjson
import pytest

from chat_gateway.events import token_expiry
from chat_gateway.identity.authentication import Identity
from chat_gateway.transport import frames
from chat_gateway.transport.wire import payload_of
from tests.support.waiting import until

NOW = 1_800_000_000.0


class FakeSocket:
    """What the clock needs of a socket."""

    def __init__(self, expires_at: float, lifetime: float) -> None:
        self.identity = Identity("ada", "login", "token", expires_at, lifetime)
        self.valid_until = 0.0
        self.expiry: asyncio.TimerHandle | None = None
        self.told: list[Any] = []
        self.dismissed = False

    def send(self, frame: Any) -> None:
        self.told.append(orjson.loads(payload_of(frame.wire)[2:]))

    def dismiss(self, *last_words: Any) -> None:
        for frame in last_words:
            self.send(frame)
        self.dismissed = True


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of day, in the test's hands; timers look at it every 10 ms."""
    moment = [NOW]
    monkeypatch.setattr(token_expiry.time, "time", lambda: moment[0])
    monkeypatch.setattr(token_expiry, "TIMER_MAX", 0.01)
    return moment


def expire(socket: Any) -> None:
    socket.dismiss(frames.event("auth_expired", {}))


async def passes(day: list[float], seconds: float) -> None:
    """Move the clock, and wait until timers that began later have fired three times."""
    day[0] += seconds
    control: Any = FakeSocket(day[0] + 1e9, 1e9)
    token_expiry.watch(control, expire)
    timers: list[asyncio.TimerHandle | None] = []

    def fired() -> bool:
        if not any(control.expiry is timer for timer in timers):
            timers.append(control.expiry)
        return len(timers) > 3

    await until(fired, every=0.002)
    token_expiry.forget(control)


@pytest.mark.parametrize(("lifetime", "warned_after"), [(900, 840), (130, 70), (100, 50), (10, 5), (1, 0.5)])
async def test_client_is_warned_a_minute_before_or_at_half_time(
    day: list[float], lifetime: float, warned_after: float
) -> None:
    socket: Any = FakeSocket(NOW + lifetime, lifetime)
    token_expiry.watch(socket, expire)
    assert socket.valid_until == pytest.approx(time.monotonic() + lifetime, abs=1)
    await passes(day, warned_after - 0.1)
    assert socket.told == []
    await passes(day, 0.2)
    assert socket.told == [["token_expiring", {"expires_at": token_expiry.expires_at(socket.identity)}]]
    await passes(day, lifetime - warned_after - 0.2)
    assert not socket.dismissed
    await passes(day, 0.2)
    assert socket.dismissed
    assert socket.told[1:] == [["auth_expired", {}]]


async def test_new_token_restarts_the_timer_and_closed_socket_has_none(day: list[float]) -> None:
    socket: Any = FakeSocket(NOW + 10, 10)
    token_expiry.watch(socket, expire)
    socket.identity = Identity("ada", "login", "newer", NOW + 900, 900)
    token_expiry.watch(socket, expire)
    await passes(day, 20)
    assert socket.told == []
    token_expiry.forget(socket)
    await passes(day, 10_000)
    assert socket.told == []


async def test_clock_set_back_expires_no_token_early(day: list[float]) -> None:
    socket: Any = FakeSocket(NOW + 10, 10)
    token_expiry.watch(socket, expire)
    await passes(day, -3_600)
    await passes(day, 3_600 + 4)
    assert socket.told == []
    await passes(day, 6.1)
    assert socket.dismissed

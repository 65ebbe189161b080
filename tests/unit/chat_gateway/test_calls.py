"""Calls: answered exactly once, in time, and who is refused is listened to more slowly."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import orjson
import pytest
from prometheus_client import CollectorRegistry

from chat_gateway.calls import DEADLINE, Calls
from chat_gateway.client_events import ClientEvents
from chat_gateway.lanes import Lanes
from chat_gateway.limits import DELAY_MAX, Pace
from chat_gateway.metrics import Metrics
from chat_gateway.payloads import ListChats
from chat_gateway.settings import GatewaySettings
from chat_gateway.wire import payload_of
from shared.errors import InvalidRequest, Unavailable


class FakeConnection:
    """A client that reads."""

    async def caught_up(self) -> None:
        pass


class FakeSocket:
    """What calls need of a socket."""

    def __init__(self) -> None:
        self.user_id = "ada"
        self.in_flight = 0
        self.lanes = Lanes()
        self.connection = FakeConnection()
        self.refusals = Pace(200.0, 200.0)
        self.heard_until = float("-inf")
        self.acks: list[Any] = []

    def send(self, frame: Any) -> None:
        text = payload_of(frame.wire)
        self.acks.append(orjson.loads(text[text.index(b"[") :])[0])


class FakeBudgets:
    """Everybody has enough."""

    def spend(self, user_id: str) -> None:
        pass


class FakeNoun:
    """Persistence is silent: whoever asks waits until their time is over."""

    def __init__(self) -> None:
        self.begun = 0
        self.handlers: dict[Any, Any] = {ListChats: self._list_chats}

    async def _list_chats(self, _call: Any, _request: Any) -> None:
        self.begun += 1
        await asyncio.Event().wait()


@pytest.fixture
def calls() -> Calls:
    return Calls(Metrics(CollectorRegistry()), GatewaySettings())


@pytest.fixture
def socket() -> Any:
    return FakeSocket()


async def test_what_comes_to_its_turn_too_late_is_not_begun(calls: Calls, socket: Any) -> None:
    """The first takes all the time there is; those behind it in the lane are answered with it."""
    silent, unused = FakeNoun(), FakeBudgets()
    events = ClientEvents(calls, unused, unused, unused, [silent])  # type: ignore[arg-type]
    arrived_at = time.monotonic() - DEADLINE + 0.5
    for number in range(200):
        assert events.take(socket, number, "list_chats", [{}], arrived_at) is None
    async with asyncio.timeout(20):
        await calls.answered()
    assert silent.begun <= 1  # none, if this machine stood still meanwhile
    assert [ack["error"]["code"] for ack in socket.acks] == ["unavailable"] * 200


def test_an_answer_that_cannot_be_encoded_leaves_the_call_open(calls: Calls, socket: Any) -> None:
    """So that there is an answer all the same."""
    call = calls.begin(socket, 1, "list_chats")
    with pytest.raises(TypeError):
        call.accept({"what": object()})
    assert len(calls) == 1
    call.refuse(Unavailable())
    assert len(calls) == 0
    assert [ack["ok"] for ack in socket.acks] == [False]


def test_what_arrived_while_a_socket_was_held_is_answered_at_once(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However overloaded, a refusal waits for one hold and not for one after the other."""
    now = 1_000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    crowd: list[Any] = [FakeSocket() for _ in range(1_000)]
    holds = [calls.hold(socket, Unavailable()) for socket in crowd]
    assert max(holds) == pytest.approx(DELAY_MAX)
    now += DELAY_MAX
    assert [calls.hold(crowd[-1], Unavailable()) for _ in range(100)] == [0.0] * 100
    assert calls.hold(crowd[-1], InvalidRequest()) == 0.0
    now += 2 * DELAY_MAX + 1
    assert calls.hold(crowd[-1], Unavailable()) == 0.0

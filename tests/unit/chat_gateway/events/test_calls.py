"""Calls: acked exactly once and in time; refused clients are read more slowly."""

from __future__ import annotations

import asyncio
import heapq
import inspect
import time
from typing import Any

import orjson
import pytest
from prometheus_client import CollectorRegistry

from chat_gateway.domain.rate_limits import DELAY_MAX
from chat_gateway.events.calls import DEADLINE, OVERLOAD_REFUSALS_PER_SECOND, Calls
from chat_gateway.events.client_events import ClientEvents
from chat_gateway.identity.authentication import Identity
from chat_gateway.metrics import Metrics
from chat_gateway.protocol.payloads import ListChats
from chat_gateway.settings import GatewaySettings
from chat_gateway.sockets.caller import OVERLOAD_BURST, OVERLOAD_PER_SECOND, Refusals
from chat_gateway.sockets.lanes import Lanes
from chat_gateway.transport.wire import payload_of
from shared.errors import Unavailable


class FakeSocket:
    """What calls need of a socket."""

    def __init__(self) -> None:
        self.user_id = "ada"
        self.identity = Identity("ada", "login", "token", 0.0, 900.0)
        self.in_flight = 0
        self.lanes = Lanes()

        self.refusals = Refusals()
        self.acks: list[Any] = []

    async def wait_until_read(self) -> None:
        pass

    def send(self, frame: Any) -> None:
        text = payload_of(frame.wire)
        self.acks.append(orjson.loads(text[text.index(b"[") :])[0])


class FakeBudgets:
    """Every user has budget left."""

    def spend(self, user_id: str) -> None:
        pass


class FakeEvents:
    """Persistence does not answer: handlers wait until the deadline."""

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


async def test_overdue_event_is_not_begun(calls: Calls, socket: Any) -> None:
    """The first takes all the time there is; those behind it in the lane are answered with it."""
    silent, unused = FakeEvents(), FakeBudgets()
    events = ClientEvents(calls, unused, unused, unused, [silent])  # type: ignore[arg-type]
    arrived_at = time.monotonic() - DEADLINE + 0.5
    for number in range(200):
        assert events.take(socket, number, "list_chats", [{}], arrived_at) is None
    async with asyncio.timeout(20):
        await calls.wait_all_answered()
    assert silent.begun <= 1  # none, if this process was suspended
    assert [ack["error"]["code"] for ack in socket.acks] == ["unavailable"] * 200


def test_ack_that_cannot_be_encoded_leaves_the_call_open(calls: Calls, socket: Any) -> None:
    """So that there is an answer all the same."""
    call = calls.begin(socket, 1, "list_chats")
    with pytest.raises(TypeError):
        call.accept({"what": object()})
    assert len(calls) == 1
    call.refuse(Unavailable())
    assert len(calls) == 0
    assert [ack["ok"] for ack in socket.acks] == [False]


class Clock:
    """Monotonic time in a test's hands, in seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def flood(calls: Calls, clock: Clock, crowd: list[Any], seconds: float) -> int:
    """How many refusals for want of time are answered if each sends its next event as soon as it is listened to."""
    until = clock.now + seconds
    turns = [(clock.now, number) for number in range(len(crowd))]
    answered = 0
    while turns[0][0] < until:
        clock.now, number = heapq.heappop(turns)
        hold = calls.pause_after_refusal(crowd[number], Unavailable())
        assert 0 <= hold <= DELAY_MAX
        heapq.heappush(turns, (clock.now + hold, number))
        answered += 1
        assert answered < 100_000, "nobody is held"
    return answered


@pytest.mark.parametrize("sockets", [1, 50, 200])
def test_persistent_clients_share_the_rate_of_refusals(calls: Calls, clock: Clock, sockets: int) -> None:
    """At any number of sockets, while no delay would exceed the maximum."""
    crowd = [FakeSocket() for _ in range(sockets)]
    flood(calls, clock, crowd, 3.0)  # what each gets at once
    assert flood(calls, clock, crowd, 10.0) <= 10 * OVERLOAD_REFUSALS_PER_SECOND + sockets


def test_client_that_waits_is_never_paused(calls: Calls, clock: Clock, socket: Any) -> None:
    """Also with a few events in flight when the first refusal arrives."""
    crowd = [FakeSocket() for _ in range(100)]
    flood(calls, clock, crowd, 3.0)
    assert [calls.pause_after_refusal(socket, Unavailable()) for _ in range(int(OVERLOAD_BURST))] == [0.0] * int(
        OVERLOAD_BURST
    )
    for _ in range(20):
        flood(calls, clock, crowd, 1.0)
        assert [calls.pause_after_refusal(socket, Unavailable()) for _ in range(int(OVERLOAD_PER_SECOND) - 1)] == [
            0.0
        ] * 3


def test_paused_client_that_waits_is_not_paused_again(calls: Calls, clock: Clock, socket: Any) -> None:
    """It owes nothing for what it did before."""
    crowd = [socket, *(FakeSocket() for _ in range(100))]
    flood(calls, clock, crowd, 10.0)
    clock.now += DELAY_MAX + 1 / OVERLOAD_PER_SECOND
    assert calls.pause_after_refusal(socket, Unavailable()) == 0.0


class FakePublisher:
    """There is no time for anything."""

    def check_capacity(self) -> None:
        raise Unavailable("Not now.", retry_after=0.5)


async def test_retry_after_covers_the_pause_of_the_socket(calls: Calls, clock: Clock, socket: Any) -> None:
    """And nothing of the message is looked at."""
    unused = FakeBudgets()
    events = ClientEvents(calls, FakePublisher(), unused, unused, [])  # type: ignore[arg-type]
    flood(calls, clock, [FakeSocket() for _ in range(1_000)], 3.0)
    for number in range(100):
        holding = events.take(socket, number, "send_message", ["no message"])
        if inspect.iscoroutine(holding):
            holding.close()  # not waited for here
    assert [ack["error"]["code"] for ack in socket.acks] == ["unavailable"] * 100
    told = [ack["error"]["retry_after"] for ack in socket.acks]
    assert (min(told), max(told)) == (0.5, pytest.approx(DELAY_MAX, abs=0.01))


async def test_time_for_which_a_request_was_held_is_part_of_its_deadline(calls: Calls, socket: Any) -> None:
    call = calls.begin_request(socket, "list_chats", held=DEADLINE - 0.5)
    assert 0 < call.remaining <= 0.5
    late = calls.begin_request(socket, "list_chats", held=DEADLINE + 1)
    await late.run(asyncio.Event().wait)  # type: ignore[arg-type]
    assert isinstance(late.answer.exception(), Unavailable)
    call.accept({})
    assert (await call.answer, len(calls), socket.in_flight) == ({}, 0, 0)

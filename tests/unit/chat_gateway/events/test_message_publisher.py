"""The message publisher: a message that was not published, or not in time, leaves no state."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry

from chat_gateway.events.calls import DEADLINE, Calls
from chat_gateway.events.message_publisher import MessagePublisher
from chat_gateway.metrics import Metrics
from chat_gateway.protocol.payloads import SendMessage
from chat_gateway.sessions.pending_messages import PendingMessages
from chat_gateway.settings import GatewaySettings
from shared.errors import Unavailable
from tests.support.waiting import until
from tests.unit.chat_gateway.events.test_calls import FakeSocket


class FakeBus:
    """What becomes of each publication is in a test's hands."""

    def __init__(self) -> None:
        self.published: list[asyncio.Future[None]] = []

    def publish(self, *_: Any) -> asyncio.Future[None]:
        self.published.append(asyncio.get_running_loop().create_future())
        return self.published[-1]


class FakeSessions:
    """Each session has to be loaded, which takes no time."""

    def __init__(self) -> None:
        self.loads = 0

    def use(self, _key: str) -> None:
        return None

    async def load_for(self, *_: Any, also_if: bool = False) -> None:
        self.loads += 1


@pytest.fixture
def calls() -> Calls:
    return Calls(Metrics(CollectorRegistry()), GatewaySettings())


def message() -> SendMessage:
    return SendMessage.model_validate({"session_id": str(uuid4()), "content": "x", "client_message_id": "one"})


async def answered(calls: Calls) -> None:
    async with asyncio.timeout(20):
        await calls.wait_all_answered()


async def test_overdue_message_is_not_published(calls: Calls) -> None:
    bus, sessions, socket = FakeBus(), FakeSessions(), FakeSocket()
    publisher: Any = MessagePublisher(bus, sessions, PendingMessages(), 4)  # type: ignore[arg-type]
    publisher.send(calls.begin(socket, 1, "send_message", time.monotonic() - DEADLINE), message())  # type: ignore[arg-type]
    await answered(calls)
    assert [ack["error"]["code"] for ack in socket.acks] == ["unavailable"]
    assert (sessions.loads, bus.published) == (0, [])


@pytest.mark.parametrize("outcome", [Unavailable(), None])
async def test_message_that_was_not_published_is_not_pending(calls: Calls, outcome: Unavailable | None) -> None:
    """Refused by the bus, or cancelled: the author was refused, so the message must not be republished."""
    bus, pending_messages, socket = FakeBus(), PendingMessages(), FakeSocket()
    publisher: Any = MessagePublisher(bus, FakeSessions(), pending_messages, 4)  # type: ignore[arg-type]
    for number in range(2):
        publisher.send(calls.begin(socket, number, "send_message"), message())  # type: ignore[arg-type]
    await until(lambda: len(pending_messages) >= 2)
    failed, held = bus.published
    if outcome is None:
        failed.cancel()
    else:
        failed.set_exception(outcome)
    held.set_result(None)
    await answered(calls)
    assert len(pending_messages) == 1
    assert sorted(ack["ok"] for ack in socket.acks) == [False, True]


async def test_call_is_refused_at_its_deadline_while_its_message_is_being_published(calls: Calls) -> None:
    """Also one that arrived before a call whose publication began earlier; the late outcome changes nothing."""
    bus, socket = FakeBus(), FakeSocket()
    publisher: Any = MessagePublisher(bus, FakeSessions(), PendingMessages(), 4)  # type: ignore[arg-type]
    now = time.monotonic()
    for number, arrived_at in enumerate((now, now - DEADLINE + 0.3)):
        publisher.send(calls.begin(socket, number, "send_message", arrived_at), message())  # type: ignore[arg-type]
    await until(lambda: socket.acks)
    assert 0.3 <= time.monotonic() - now < 3.0
    assert [ack["error"]["code"] for ack in socket.acks] == ["unavailable"]
    for outcome in bus.published:
        outcome.set_result(None)
    await answered(calls)
    assert [ack["ok"] for ack in socket.acks] == [False, True]
    await until(lambda: publisher._overdue_timer is None)

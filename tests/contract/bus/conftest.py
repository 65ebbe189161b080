"""Both buses behind one fixture: a test that takes `broker` or `bus` runs on each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.bus.port import Bus
from tests.contract.bus.brokers import Broker, Names, in_process, rabbitmq


@pytest.fixture(params=["in_process", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Broker:
    """An empty broker; each bus opened on it acts as another process, one at a time."""
    if request.param == "in_process":
        return in_process(tmp_path / "bus.db")
    return rabbitmq(request.getfixturevalue("amqp_url"))


@pytest.fixture
async def bus(broker: Broker) -> AsyncIterator[Bus]:
    """A bus that is connected."""
    async with broker.open() as bus:
        yield bus


@pytest.fixture
def names() -> Names:
    """Exchanges and queues that only this test uses."""
    return Names()

"""The catalogue is announced until the bus accepts it, and again after a reconnect."""

from __future__ import annotations

import pytest

from tests.integration.chatbot_worker.conftest import Start
from tests.integration.chatbot_worker.fake_bus import FakeBus
from tests.support.waiting import until

ECHO = '[[chatbots]]\nid = "echo"\nname = "Echo"\nkind = "echo"\n'


async def test_catalogue_is_announced_until_the_queue_exists(bus: FakeBus, start: Start) -> None:
    """Before persistence has made its queue the announcement is unroutable: it is tried again."""
    bus.refused = 3
    await start(ECHO)
    await until(bus.announced)
    (announced,) = bus.announced()
    assert [card.id for card in announced.chatbots] == ["echo"]


async def test_it_is_announced_again_after_a_reconnect(
    bus: FakeBus, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker may have lost its queues. Without a connection the worker reports `broker` as missing."""
    monkeypatch.setattr("chatbot_worker.roster.announcing.WATCH_INTERVAL", 0.01)
    service = await start(ECHO)
    await until(bus.announced)
    assert service.missing() == []
    bus.up = False
    assert service.missing() == ["broker"]
    watched = bus.looks
    await until(lambda: bus.looks > watched + 1)
    bus.up = True
    await until(lambda: len(bus.announced()) == 2)


async def test_it_is_announced_again_after_a_while(bus: FakeBus, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a persistence worker that lost it has it again."""
    monkeypatch.setattr("chatbot_worker.roster.announcing.WATCH_INTERVAL", 0.01)
    monkeypatch.setattr("chatbot_worker.roster.announcing.ANNOUNCE_INTERVAL", 0.03)
    await start(ECHO)
    await until(lambda: len(bus.announced()) >= 3)

"""The fake bus behaves as the real one, records what passes, and fails on request."""

from __future__ import annotations

import pytest

from shared.contracts.envelope import Event, read_body
from shared.contracts.queries import Reply
from shared.contracts.topology import TURNS, control_queue, log, log_queue, turn_queue
from shared.errors import PayloadTooLarge, Unavailable
from tests.support.fake_bus import FakeBus


def number(n: int) -> Event:
    return Event("test", Reply(result={"n": n}))


async def test_published_events_reach_the_declared_queue_and_are_recorded() -> None:
    async with FakeBus() as bus:
        queue = log_queue(0, 1)
        await bus.declare(queues=[queue])
        await bus.publish(log(1), "0", number(1))
        subscription = await bus.subscribe(queue, prefetch=10)
        batch = await subscription.take()
        assert [event.data["result"]["n"] for d in batch.deliveries for event in read_body(d.body)] == [1]
        assert bus.holds(queue)
        await subscription.ack(batch.deliveries)
        assert not bus.holds(queue)
        assert [reply.result for reply in bus.events(Reply)] == [{"n": 1}]
        with pytest.raises(Unavailable):
            await bus.publish(TURNS, "echo", number(2))  # no queue


async def test_acknowledged_numbers_are_those_of_deliver() -> None:
    async with FakeBus() as bus:
        subscription = await bus.subscribe(turn_queue("echo"), prefetch=10)
        control = await bus.subscribe(control_queue("worker"), prefetch=10)
        first = bus.deliver(turn_queue("echo"), number(1))
        second = bus.deliver(turn_queue("echo"), number(2), number(3), delivery_count=4)
        stop = bus.deliver(control_queue("worker"), number(4))
        batch = await subscription.take()
        assert [delivery.delivery_count for delivery in batch.deliveries] == [0, 4]
        await subscription.ack(batch.deliveries[1:])
        assert (subscription.acked, bus.unacked(turn_queue("echo"))) == ([second], 1)
        await subscription.close()
        assert bus.waiting(turn_queue("echo")) == 1
        await control.ack((await control.take()).deliveries)
        assert (control.acked, first < second < stop) == ([stop], True)


async def test_failures_are_injected() -> None:
    async with FakeBus() as bus:
        await bus.declare(queues=[log_queue(0, 1)])
        bus.failures = 1
        with pytest.raises(Unavailable):
            await bus.publish(log(1), "0", number(1))
        bus.event_bytes_max = 10
        with pytest.raises(PayloadTooLarge):
            await bus.publish(log(1), "0", number(2))
        assert bus.published == []
        bus.up = False
        assert not bus.connected


async def test_requests_are_answered_by_the_test_or_by_a_consumer() -> None:
    async with FakeBus() as bus:
        bus.answer = lambda event: Reply(result={"asked": event.type})
        answer = await bus.request(TURNS, "echo", number(1))
        assert answer.parse(Reply).result == {"asked": Reply.TYPE}
        bus.answer = None
        with pytest.raises(Unavailable):
            await bus.request(TURNS, "echo", number(1))

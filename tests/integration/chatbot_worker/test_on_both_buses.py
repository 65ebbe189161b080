"""The worker on both buses: a turn is answered by deltas and a finished reply, and requeued by a drain."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from chatbot_worker.app import build
from chatbot_worker.settings import ChatbotSettings
from chatbot_worker.turns import turn_loop
from shared.bus.in_process import InProcessBus
from shared.bus.port import Bus, Subscription
from shared.bus.rabbitmq import RabbitMQBus
from shared.contracts.commands import FinishReply
from shared.contracts.envelope import Event, Received, read_body
from shared.contracts.events import ChatbotsAnnounced, ReplyStreamed
from shared.contracts.queries import IsTurnOpen, Reply
from shared.contracts.topology import (
    CATALOGUE,
    CONTROL,
    CONTROL_KEY,
    DELIVERY,
    QUERIES,
    TURNS,
    catalogue_queue,
    delivery_queue,
    log,
    log_queue,
    query_queue,
    session_key,
    turn_queue,
)
from shared.contracts.turns import StopTurn
from shared.runtime.service import Service
from tests.integration.chatbot_worker.conftest import turn
from tests.integration.chatbot_worker.scripted import SCRIPTED, Scripted, hang
from tests.support.waiting import until

QUICK = '[[chatbots]]\nid = "echo"\nname = "Echo"\nkind = "echo"\noptions = {delay = 0.005}\ndelta_interval = 0\n'
HANGING = SCRIPTED.replace('"bot"', '"echo"')


@dataclass
class Others:
    """The queues of persistence and of one gateway, and the events that arrived in them."""

    bus: Bus
    seen: list[Received] = field(default_factory=list)

    def of(self, payload: type) -> list[Received]:
        return [event for event in self.seen if event.type == payload.TYPE]

    async def watch(self, subscription: Subscription) -> None:
        while True:
            for delivery in (await subscription.take()).deliveries:
                for event in read_body(delivery.body):
                    self.seen.append(event)
                    if event.type == IsTurnOpen.TYPE:
                        self.bus.respond(event, Event("test", Reply(result={"open": True})))
                await subscription.ack([delivery])


@pytest.fixture(params=["in_process", "rabbitmq"])
async def bus(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bus]:
    made: InProcessBus | RabbitMQBus
    if request.param == "in_process":
        made = InProcessBus(tmp_path / "bus.db")
    else:
        made = RabbitMQBus(request.getfixturevalue("amqp_url"), name="test")
    async with made:
        yield made


@pytest.fixture
async def others(bus: Bus) -> AsyncIterator[Others]:
    around = Others(bus)
    await bus.declare((log(1), CATALOGUE, DELIVERY, QUERIES, TURNS), [turn_queue("echo")])
    queues = [log_queue(0, 1), catalogue_queue(), query_queue(), delivery_queue("test")]
    subscriptions = [await bus.subscribe(queue, prefetch=100) for queue in queues]
    await subscriptions[-1].bind(DELIVERY, session_key(0))
    watchers = [asyncio.create_task(around.watch(subscription)) for subscription in subscriptions]
    yield around
    for watcher in watchers:
        watcher.cancel()
    await asyncio.gather(*watchers, return_exceptions=True)


def put(path: Path, toml: str) -> None:
    path.write_text(toml)


@asynccontextmanager
async def worker(bus: Bus, path: Path, toml: str) -> AsyncIterator[Service]:
    put(path, toml)
    service = build(ChatbotSettings(chatbots=path, partitions=1), bus=bus, registry=CollectorRegistry())
    async with service.lifespan() as tasks:
        yield service
        assert not tasks.failed.done()


async def test_a_turn_becomes_a_reply(bus: Bus, others: Others, tmp_path: Path) -> None:
    """The catalogue is announced, the reply streamed in order and finished once, and the turn removed from its queue."""
    async with worker(bus, tmp_path / "chatbots.toml", QUICK):
        asked = turn("one two three")
        await bus.publish(TURNS, "echo", Event("test", asked, str(asked.session_id)))
        await until(lambda: others.of(FinishReply) and others.of(ChatbotsAnnounced))
        (finish,) = [event.parse(FinishReply) for event in others.of(FinishReply)]
        assert (finish.message_id, finish.content) == (asked.message_id, "one two three")
        await until(lambda: len(others.of(ReplyStreamed)) == 3)
        assert [event.data["text"] for event in others.of(ReplyStreamed)] == ["one ", "two ", "three"]
    async with worker(bus, tmp_path / "chatbots.toml", QUICK):
        second = turn("four")
        await bus.publish(TURNS, "echo", Event("test", second, str(second.session_id)))
        await until(lambda: len(others.of(FinishReply)) == 2)
        assert others.of(FinishReply)[1].parse(FinishReply).message_id == second.message_id
    assert others.of(IsTurnOpen) == []


@pytest.mark.parametrize("graceful", [True, False])
async def test_unfinished_turn_is_answered_by_another_worker(
    bus: Bus, others: Others, tmp_path: Path, scripted: Scripted, monkeypatch: pytest.MonkeyPatch, *, graceful: bool
) -> None:
    """After a requeue or a crash, the next worker asks whether the turn is open and answers under a higher attempt."""
    monkeypatch.setattr(turn_loop, "GRACE", 0.01)
    scripted.plays = [hang]
    asked = turn("one two three four")
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(worker(bus, tmp_path / "chatbots.toml", HANGING))
        await bus.publish(TURNS, "echo", Event("test", asked, str(asked.session_id)))
        await until(lambda: others.of(ReplyStreamed))
        if graceful:
            assert first.drain is not None
            await first.drain()
    assert others.of(FinishReply) == []
    async with worker(bus, tmp_path / "chatbots.toml", QUICK):
        await until(lambda: others.of(FinishReply))
    (finish,) = [event.parse(FinishReply) for event in others.of(FinishReply)]
    assert finish.content == "one two three four"
    assert finish.attempt > others.of(ReplyStreamed)[0].data["attempt"]
    assert finish.attempt // 1000 in (2, 3)  # a requeued turn may be delivered again to the closing subscription
    assert len(others.of(IsTurnOpen)) == 1


async def test_stop_reaches_the_worker_that_runs_the_turn(
    bus: Bus, others: Others, tmp_path: Path, scripted: Scripted
) -> None:
    """Every worker hears of the stop; the one that is at it ends the reply, and one that comes later ends at once."""
    scripted.plays = [hang]
    asked, late = turn(chatbot_id="bot"), turn(chatbot_id="bot")
    async with AsyncExitStack() as stack:
        for name in ("a.toml", "b.toml"):
            await stack.enter_async_context(worker(bus, tmp_path / name, SCRIPTED))
        await until(lambda: scripted.life == ["open", "open"])  # both hear
        await bus.declare(queues=[turn_queue("bot")])
        await bus.publish(TURNS, "bot", Event("test", asked, str(asked.session_id)))
        await until(lambda: others.of(ReplyStreamed))
        for turn_ in (late, asked):
            stop = StopTurn(session_id=turn_.session_id, message_id=turn_.message_id)
            await bus.publish(CONTROL, CONTROL_KEY, Event("test", stop))
        await until(lambda: others.of(FinishReply))
        await bus.publish(TURNS, "bot", Event("test", late, str(late.session_id)))
        await until(lambda: len(others.of(FinishReply)) == 2)
    finishes = [event.parse(FinishReply) for event in others.of(FinishReply)]
    ends = [(finish.message_id, finish.status, finish.content) for finish in finishes]
    assert ends[0] == (asked.message_id, "stopped", "so far")
    assert ends[1][:2] == (late.message_id, "stopped")
    assert scripted.started == scripted.closed


async def test_a_reload_under_load_loses_and_doubles_nothing(
    bus: Bus, others: Others, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three hundred turns while the file changes nine times, the chatbot away in between: each is answered once."""
    monkeypatch.setattr("chatbot_worker.roster.reloading.POLL_INTERVAL", 0.02)
    monkeypatch.setattr("chatbot_worker.roster.announcing.WATCH_INTERVAL", 0.01)
    path = tmp_path / "chatbots.toml"
    other = QUICK.replace('"echo"\nname', '"other"\nname')
    versions = [QUICK, QUICK + "concurrency = 300\n", other]
    asked = []
    async with worker(bus, path, QUICK) as service:
        assert service.reload is not None
        for number in range(300):
            if number % 30 == 15:
                announced = len(others.of(ChatbotsAnnounced))
                put(path, versions[number // 30 % 3])
                service.reload()
                await until(lambda: len(others.of(ChatbotsAnnounced)) > announced)  # noqa: B023 - at once
            turn_ = turn(f"number {number}")
            asked.append(turn_.message_id)
            await bus.publish(TURNS, "echo", Event("test", turn_, str(turn_.session_id)))
        await until(lambda: len({event.data["message_id"] for event in others.of(FinishReply)}) == 300)
    finishes = [event.parse(FinishReply) for event in others.of(FinishReply)]
    assert Counter(finish.message_id for finish in finishes) == Counter(asked)
    assert {finish.status for finish in finishes} == {"complete"}

"""Poison messages on PostgreSQL and RabbitMQ, and the command that inspects and replays them."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker import app
from persistence_worker.operations.dead_letter_box import CannotReplay, open_box
from persistence_worker.settings import PersistenceSettings
from persistence_worker.storage.tables import SCHEMA
from shared.bus.in_process import InProcessBus
from shared.bus.port import Bus
from shared.bus.rabbitmq import RabbitMQBus
from shared.contracts import ids, topology
from shared.contracts.commands import SendMessage
from shared.contracts.dead_letters import DeadLetter
from shared.contracts.envelope import Event, Received, join, read_body
from shared.contracts.events import ChatbotsAnnounced, MessageRejected, MessageStored
from shared.contracts.payload import rfc3339
from shared.contracts.turns import RunTurn
from shared.contracts.views import ErrorView
from shared.database.engine import open_engine
from shared.errors import Unavailable
from tests.support.children import PLAIN_ENVIRONMENT
from tests.support.commands import ADA, CARDS, NOON, finish, send, start
from tests.support.stack import ROOT
from tests.support.waiting import until

PARTITIONS = 2


@dataclass
class Log:
    """A session, its partition of the log, and the events that are published about it."""

    bus: Bus
    session_id: UUID = field(default_factory=uuid4)
    events: list[Received] = field(default_factory=list)

    @property
    def partition(self) -> int:
        return ids.partition(self.session_id, PARTITIONS)

    @property
    def queue(self) -> topology.Queue:
        return topology.log_queue(self.partition, PARTITIONS)

    async def put(self, *commands: object) -> None:
        """Publish commands together: in one body if the bus is idle."""
        log, key = topology.log(PARTITIONS), str(self.partition)
        await self.bus.publish_all([(log, key, Event("tests", c, subject=str(self.session_id))) for c in commands])  # type: ignore[arg-type]

    async def listen(self) -> None:
        subscription = await self.bus.subscribe(topology.delivery_queue("tests"), prefetch=100)
        await subscription.bind(topology.DELIVERY, topology.session_key(self.partition))
        await subscription.bind(topology.DELIVERY, topology.user_key(ids.bucket(ADA, PARTITIONS)))
        while True:
            batch = await subscription.take()
            await subscription.ack(batch.deliveries)
            self.events += [event for delivery in batch.deliveries for event in read_body(delivery.body)]

    def stored(self) -> list[str]:
        return [e.parse(MessageStored).message.content for e in self.events if e.type == MessageStored.TYPE]

    def rejected(self) -> list[MessageRejected]:
        return [e.parse(MessageRejected) for e in self.events if e.type == MessageRejected.TYPE]

    async def until_stored(self, count: int) -> list[str]:
        await until(lambda: len(self.stored()) >= count, within=60)
        return self.stored()


async def announced(bus: Bus) -> bool:
    """Announce the chatbots, unless the worker knows them; return whether it does."""
    if await bus.exists(topology.turn_queue("eliza")):
        return True
    catalogue = ChatbotsAnnounced(chatbots=CARDS, modified_at=rfc3339(NOON))
    with contextlib.suppress(Unavailable):  # a queue exists before it is bound
        await bus.publish(topology.CATALOGUE, topology.CATALOGUE_KEY, Event("tests", catalogue))
    return False


@asynccontextmanager
async def working(engine: AsyncEngine, amqp_url: str) -> AsyncIterator[Log]:
    """Run a worker on real servers, with a session that has a chatbot."""
    settings = PersistenceSettings(partitions=PARTITIONS)
    async with RabbitMQBus(amqp_url, name="tests") as bus:
        service = app.build(settings, bus=bus, engine=engine, registry=CollectorRegistry())
        async with asyncio.timeout(160), service.lifespan() as tasks:  # the tests start up to seven processes in it
            log = Log(bus)
            await until(lambda: bus.exists(topology.dead_queue(log.queue)))
            await until(lambda: bus.exists(topology.catalogue_queue()))
            await until(lambda: announced(bus), every=0.1)
            tasks.start("listening", log.listen())
            await bus.request(topology.log(PARTITIONS), str(log.partition), Event("tests", start(log.session_id)))
            yield log
            assert not tasks.failed.done(), tasks.failed.result()


@pytest.fixture
async def log(postgresql_url: str, amqp_url: str) -> AsyncIterator[tuple[Log, AsyncEngine]]:
    engine = open_engine(postgresql_url, schema=SCHEMA)
    await app.migrate(engine)
    async with working(engine, amqp_url) as log:
        yield log, engine
    await engine.dispose()


async def command(amqp_url: str, *arguments: str) -> tuple[int, str]:
    """Run `python -m persistence_worker dead …`; return its exit code and its output."""
    environment = PLAIN_ENVIRONMENT | {"BACKCHAT_AMQP_URL": amqp_url, "BACKCHAT_PARTITIONS": str(PARTITIONS)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "persistence_worker", "dead", *arguments),
        env=environment,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, output.decode()


async def forbid(engine: AsyncEngine, content: str | None) -> None:
    """Let PostgreSQL refuse messages with this content; `None`: accept all again."""
    change = f"ADD CONSTRAINT poison CHECK (content <> '{content}')" if content else "DROP CONSTRAINT poison"
    async with engine.begin() as connection:
        await connection.execute(text(f"ALTER TABLE chat.chat_messages {change}"))


@pytest.mark.timeout(200)
async def test_poison_in_a_batch_becomes_a_dead_letter_that_can_be_replayed(
    log: tuple[Log, AsyncEngine], amqp_url: str
) -> None:
    """All valid messages are stored in order. When the cause is repaired, the replayed message is stored once."""
    session, engine = log
    await forbid(engine, "rotten")
    messages = [send(session.session_id, str(n)) for n in range(40)]
    bad = send(session.session_id, "rotten", client_message_id="bad")
    nul = send(session.session_id, "a\x00b", client_message_id="nul")
    await session.put(*messages[:20], bad, *messages[20:30], nul, *messages[30:])
    assert await session.until_stored(40) == [str(n) for n in range(40)]
    await until(lambda: len(session.rejected()) == 2, within=60)
    assert [(r.message_id, r.code) for r in session.rejected()] == [
        (bad.message_id, "internal"),
        (nul.message_id, "internal"),
    ]

    code, listed = await command(amqp_url, "list")
    assert code == 0
    assert "2 dead letters" in listed
    assert "rotten" not in listed
    first, second, _ = listed.splitlines()
    assert session.queue.name in first
    assert "IntegrityError 23514" in first
    assert "22021" in second
    letter_id = first.split()[0]
    code, shown = await command(amqp_url, "show", letter_id)
    assert (code, '"content": "rotten"' in shown, str(bad.message_id) in shown) == (0, True, True)
    assert (await command(amqp_url, "replay", "no-such-letter")) == (1, "no such letter: no-such-letter\n")

    await forbid(engine, None)
    assert await command(amqp_url, "replay", letter_id) == (0, "1 dead letters replayed\n")
    assert (await session.until_stored(41))[-1] == "rotten"
    await session.put(bad)  # its author sends it again
    await session.put(send(session.session_id, "last"))
    assert (await session.until_stored(42))[40:] == ["rotten", "last"]
    code, listed = await command(amqp_url, "list", "--queue", session.queue.name)
    assert (code, listed.splitlines()[-1], "22021" in listed) == (0, "1 dead letters", True)


@pytest.mark.timeout(200)
async def test_reply_that_postgresql_refuses_ends_its_turn(log: tuple[Log, AsyncEngine]) -> None:
    """NUL in the error text, which is not removed: the turn ends as failed, and the next one runs."""
    session, _ = log
    turns = await session.bus.subscribe(topology.turn_queue("echo"), prefetch=10)
    await session.put(send(session.session_id, "one"))
    [turn] = [e for d in (await turns.take()).deliveries for e in read_body(d.body)]
    reply = finish(_turn(turn), status="failed", error=ErrorView(code="x", message="\x00"))
    await session.put(reply, send(session.session_id, "two"))
    await session.until_stored(3)
    messages = [e.parse(MessageStored).message for e in session.events if e.type == MessageStored.TYPE]
    [failed] = [m for m in messages if m.sender_type == "chatbot"]
    assert (failed.id, failed.status, failed.error and failed.error.code) == (reply.message_id, "failed", "internal")
    assert sorted(m.seq for m in messages)[:2] == [1, 2]
    following = [e for d in (await turns.take()).deliveries for e in read_body(d.body)]
    assert [m.content for m in _turn(following[-1]).context if m.unanswered] == ["two"]
    await turns.close()


async def test_letters_of_one_body_are_replayed_separately(tmp_path: Path) -> None:
    """The chosen letter is replayed; a second one, and one that cannot be parsed, stay in the queue."""
    queue = topology.log_queue(0, 1)
    left = send(uuid4(), "kept")
    chosen = send(uuid4(), "chosen")
    letters = [
        DeadLetter.of(join([Event("tests", message).encode()]), queue=queue.name, reason="r", attempts=1)
        for message in (left, chosen)
    ]
    letters.append(DeadLetter.of(b"no json", queue=queue.name, reason="r", attempts=1))
    events = [Event("tests", letter) for letter in letters]
    async with asyncio.timeout(50), InProcessBus(tmp_path / "bus.db") as bus:
        await bus.declare((topology.DEAD,), (queue, topology.dead_queue(queue)))
        assert await open_box(bus, "none.such") is None
        await bus.publish_all([(topology.DEAD, queue.name, event) for event in events])
        box = await open_box(bus, queue.name)
        assert box is not None
        assert [stored.id for stored in box.letters] == [event.id for event in events]
        with pytest.raises(CannotReplay):
            box.letters[2].events()
        replayed, failures = await box.replay([events[1].id, events[2].id])
        assert (replayed, [reason.split(":")[0] for reason in failures]) == (1, [events[2].id])
        await box.close()
        log = await bus.subscribe(queue, prefetch=10)
        [delivery] = (await log.take()).deliveries
        [envelope] = read_body(delivery.body)
        assert envelope.parse(SendMessage) == chosen
        box = await open_box(bus, queue.name)
        assert box is not None
        assert [stored.letter for stored in box.letters] == [letters[0], letters[2]]
        assert (await box.replay(None))[0] == 1
        await box.close()
        box = await open_box(bus, queue.name)
        assert box is not None
        assert [stored.id for stored in box.letters] == [events[2].id]


def _turn(event: Received) -> RunTurn:
    return event.parse(RunTurn)

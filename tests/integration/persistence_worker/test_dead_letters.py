"""Poison on PostgreSQL over RabbitMQ: put aside alone, told, looked at and replayed by the command."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
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
from shared.contracts.dead import DeadLetter
from shared.contracts.envelope import Event, Received, join, read_body
from shared.contracts.events import ChatbotsAnnounced, MessageRejected, MessageStored
from shared.contracts.turns import RunTurn
from shared.contracts.views import ErrorView
from shared.database.engine import open_engine
from shared.errors import Unavailable
from tests.contract.store.desk import ADA, CARDS, NOON, finish, send, start
from tests.integration.persistence_worker.test_real_buses import there
from tests.support.children import PLAIN_ENVIRONMENT
from tests.support.stack import ROOT

PARTITIONS = 2


@dataclass
class Log:
    """One session, what its partition was told, and what the world hears of it."""

    bus: Bus
    session_id: UUID = field(default_factory=uuid4)
    heard: list[Received] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def partition(self) -> int:
        return ids.partition(self.session_id, PARTITIONS)

    @property
    def queue(self) -> topology.Queue:
        return topology.log_queue(self.partition, PARTITIONS)

    async def put(self, *commands: object) -> None:
        """These commands together, in one body if there is no other on its way."""
        log, key = topology.log(PARTITIONS), str(self.partition)
        await self.bus.publish_all([(log, key, Event("tests", c, subject=str(self.session_id))) for c in commands])  # type: ignore[arg-type]

    async def listen(self) -> None:
        subscription = await self.bus.subscribe(topology.delivery_queue("tests"), prefetch=100)
        await subscription.bind(topology.DELIVERY, topology.session_key(self.partition))
        await subscription.bind(topology.DELIVERY, topology.user_key(ids.bucket(ADA, PARTITIONS)))
        while True:
            batch = await subscription.take()
            await subscription.ack(batch.deliveries)
            async with self.news:
                self.heard += [event for delivery in batch.deliveries for event in read_body(delivery.body)]
                self.news.notify_all()

    def stored(self) -> list[str]:
        return [e.parse(MessageStored).message.content for e in self.heard if e.type == MessageStored.TYPE]

    def rejected(self) -> list[MessageRejected]:
        return [e.parse(MessageRejected) for e in self.heard if e.type == MessageRejected.TYPE]

    async def until_stored(self, most: int) -> list[str]:
        await self.until(lambda: len(self.stored()) >= most)
        return self.stored()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60), self.news:
            await self.news.wait_for(condition)


@asynccontextmanager
async def working(engine: AsyncEngine, amqp_url: str) -> AsyncIterator[Log]:
    """A worker on real servers, with a session that waits for messages and has a chatbot."""
    settings = PersistenceSettings(partitions=PARTITIONS)
    async with RabbitMQBus(amqp_url, name="tests") as bus:
        service = app.build(settings, bus=bus, engine=engine, registry=CollectorRegistry())
        async with asyncio.timeout(160), service.lifespan() as tasks:  # seven processes are started within
            log = Log(bus)
            await there(bus, topology.dead_queue(log.queue))
            await there(bus, topology.catalogue_queue())
            announced = ChatbotsAnnounced(chatbots=CARDS, modified_at=NOON)
            while not await bus.exists(topology.turn_queue("eliza")):  # a queue is there before it is bound
                with contextlib.suppress(Unavailable):
                    await bus.publish(topology.CATALOGUE, topology.CATALOGUE_KEY, Event("tests", announced))
                await asyncio.sleep(0.1)
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
    """Run `python -m persistence_worker dead …`; its exit code and all that it printed."""
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
    """Let PostgreSQL refuse messages with these words, or none any more."""
    change = f"ADD CONSTRAINT poison CHECK (content <> '{content}')" if content else "DROP CONSTRAINT poison"
    async with engine.begin() as connection:
        await connection.execute(text(f"ALTER TABLE chat.chat_messages {change}"))


@pytest.mark.timeout(200)
async def test_poison_in_a_batch_is_put_aside_alone_looked_at_and_replayed(
    log: tuple[Log, AsyncEngine], amqp_url: str
) -> None:
    """Its neighbours are stored in order; once mended, the letter is replayed, stored once, and gone."""
    talk, engine = log
    await forbid(engine, "rotten")
    messages = [send(talk.session_id, str(n)) for n in range(40)]
    bad = send(talk.session_id, "rotten", client_message_id="bad")
    nul = send(talk.session_id, "a\x00b", client_message_id="nul")
    await talk.put(*messages[:20], bad, *messages[20:30], nul, *messages[30:])
    assert await talk.until_stored(40) == [str(n) for n in range(40)]
    await talk.until(lambda: len(talk.rejected()) == 2)
    assert [(r.message_id, r.code) for r in talk.rejected()] == [
        (bad.message_id, "internal"),
        (nul.message_id, "internal"),
    ]

    code, listed = await command(amqp_url, "list")
    assert code == 0
    assert "2 dead letters" in listed
    assert "rotten" not in listed
    first, second, _ = listed.splitlines()
    assert talk.queue.name in first
    assert "IntegrityError 23514" in first
    assert "22021" in second
    letter_id = first.split()[0]
    code, shown = await command(amqp_url, "show", letter_id)
    assert (code, '"content": "rotten"' in shown, str(bad.message_id) in shown) == (0, True, True)
    assert (await command(amqp_url, "replay", "no-such-letter")) == (1, "no such letter: no-such-letter\n")

    await forbid(engine, None)
    assert await command(amqp_url, "replay", letter_id) == (0, "1 dead letters replayed\n")
    assert (await talk.until_stored(41))[-1] == "rotten"
    await talk.put(bad)  # and its author sends it again
    await talk.put(send(talk.session_id, "last"))
    assert (await talk.until_stored(42))[40:] == ["rotten", "last"]
    code, listed = await command(amqp_url, "list", "--queue", talk.queue.name)
    assert (code, listed.splitlines()[-1], "22021" in listed) == (0, "1 dead letters", True)


@pytest.mark.timeout(200)
async def test_a_reply_that_postgresql_refuses_ends_its_turn(log: tuple[Log, AsyncEngine]) -> None:
    """NUL in its error is what this release does not strip; the turn is over all the same, and the next one runs."""
    talk, _ = log
    turns = await talk.bus.subscribe(topology.turn_queue("echo"), prefetch=10)
    await talk.put(send(talk.session_id, "one"))
    [turn] = [e for d in (await turns.take()).deliveries for e in read_body(d.body)]
    reply = finish(_turn(turn), status="failed", error=ErrorView(code="x", message="\x00"))
    await talk.put(reply, send(talk.session_id, "two"))
    await talk.until_stored(3)
    messages = [e.parse(MessageStored).message for e in talk.heard if e.type == MessageStored.TYPE]
    [failed] = [m for m in messages if m.sender_type == "chatbot"]
    assert (failed.id, failed.status, failed.error and failed.error.code) == (reply.message_id, "failed", "internal")
    assert sorted(m.seq for m in messages)[:2] == [1, 2]
    following = [e for d in (await turns.take()).deliveries for e in read_body(d.body)]
    assert [m.content for m in _turn(following[-1]).context if m.unanswered] == ["two"]
    await turns.close()


async def test_letters_that_travelled_together_part(tmp_path: Path) -> None:
    """One of a body is replayed, what cannot be read stays, and nothing is lost of either."""
    queue = topology.log_queue(0, 1)
    kept = send(uuid4(), "kept")
    chosen = send(uuid4(), "chosen")
    letters = [
        DeadLetter.of(join([Event("tests", message).encode()]), queue=queue.name, reason="r", attempts=1)
        for message in (kept, chosen)
    ]
    letters.append(DeadLetter.of(b"no json", queue=queue.name, reason="r", attempts=1))
    events = [Event("tests", letter) for letter in letters]
    async with asyncio.timeout(50), InProcessBus(tmp_path / "bus.db") as bus:
        await bus.declare((topology.DEAD,), (queue, topology.dead_queue(queue)))
        assert await open_box(bus, "none.such") is None
        await bus.publish_all([(topology.DEAD, queue.name, event) for event in events])
        box = await open_box(bus, queue.name)
        assert box is not None
        assert [found.id for found in box.letters] == [event.id for event in events]
        with pytest.raises(CannotReplay):
            box.letters[2].events()
        replayed, refused = await box.replay([events[1].id, events[2].id])
        assert (replayed, [reason.split(":")[0] for reason in refused]) == (1, [events[2].id])
        await box.close()
        log = await bus.subscribe(queue, prefetch=10)
        [delivery] = (await log.take()).deliveries
        [received] = read_body(delivery.body)
        assert received.parse(SendMessage) == chosen
        box = await open_box(bus, queue.name)
        assert box is not None
        assert [found.letter for found in box.letters] == [letters[0], letters[2]]
        assert (await box.replay(None))[0] == 1
        await box.close()
        box = await open_box(bus, queue.name)
        assert box is not None
        assert [found.id for found in box.letters] == [events[2].id]


def _turn(event: Received) -> RunTurn:
    return event.parse(RunTurn)

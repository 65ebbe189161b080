"""Real workers under load: commands go straight into the log, and what became of them is read from PostgreSQL."""

from __future__ import annotations

import asyncio
import re
import urllib.request
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count, groupby
from operator import itemgetter
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker.storage.tables import SCHEMA
from shared.bus.port import Bus
from shared.bus.rabbitmq import RabbitMQBus
from shared.contracts import topology
from shared.contracts.envelope import Event, read_body
from shared.contracts.events import MessageStored, SessionHead
from shared.contracts.queries import ListChatbots, Reply
from shared.database.engine import open_engine
from shared.errors import Unavailable
from tests.contract.store.desk import send, start
from tests.support.stack import DistributedStack, Part

WORKERS = ("persistence_worker-1", "persistence_worker-2")
PATIENCE = 60.0  # seconds for what takes a few on an idle machine
LOOK = 0.02  # seconds between two looks
CHATBOTS = """
[[chatbots]]
id = "echo"
name = "Echo"
kind = "echo"
default = true
options = {delay = 0}
"""


class Workers(DistributedStack):
    """Two persistence workers on one partition, and a chatbot worker that answers at once."""

    def _parts(self) -> dict[str, Part]:
        (self.directory / "chatbots.toml").write_text(CHATBOTS)
        self.settings |= {"PARTITIONS": "1", "CHATBOTS": str(self.directory / "chatbots.toml"), "LOG_LEVEL": "info"}
        both = {**self._database, **self._broker}
        parts = {name: Part("persistence_worker", both) for name in WORKERS}
        return {**parts, "chatbot_worker": Part("chatbot_worker", self._broker)}

    async def crash(self, name: str) -> None:
        """`kill -9`, and start it again without waiting for it."""
        await self.kill9(name)
        part = self.parts[name]
        part.child = self.spawn(name, part.module, "serve", settings=part.settings, port=part.port)

    async def commands(self, name: str) -> float:
        """How many commands a worker has applied since its start; 0 if it does not answer."""

        def read() -> float:
            try:
                with urllib.request.urlopen(f"{self.parts[name].url}/metrics", timeout=2) as answer:
                    found = re.search(rb"^backchat_batch_commands_sum (\S+)$", answer.read(), re.MULTILINE)
            except OSError:
                return 0.0
            return float(found[1]) if found else 0.0

        return await asyncio.to_thread(read)

    async def active(self) -> str:
        """The worker that applies commands just now; there must be load."""
        before = {name: await self.commands(name) for name in WORKERS}
        async with asyncio.timeout(PATIENCE):
            while True:
                for name in WORKERS:
                    if await self.commands(name) > before[name]:
                        return name
                await asyncio.sleep(LOOK)


@dataclass
class Crowd:
    """Sessions with a chatbot, everything that was sent to them, and the numbers that the world was told."""

    bus: Bus
    engine: AsyncEngine
    sessions: list[UUID] = field(default_factory=list)
    sent: dict[UUID, list[str]] = field(default_factory=lambda: defaultdict(list))
    told: Counter[UUID] = field(default_factory=Counter)  # by message
    heads: dict[UUID, int] = field(default_factory=dict)  # highest number heard, by session
    _numbers: count[int] = field(default_factory=count)

    async def gather(self, sessions: int) -> None:
        """Start sessions, as soon as the chatbots are known."""
        log = topology.log(1)
        async with asyncio.timeout(PATIENCE):
            while not await self._chatbots_known():  # noqa: ASYNC110 - another process is asked
                await asyncio.sleep(LOOK)
            for _ in range(sessions):
                command = start(title="crowd")
                answer = await self.bus.request(log, "0", Event("tests", command, subject=str(command.session_id)))
                assert answer.parse(Reply).error is None
                self.sessions.append(command.session_id)

    async def _chatbots_known(self) -> bool:
        try:
            answer = await self.bus.request(topology.QUERIES, topology.QUERY_KEY, Event("tests", ListChatbots()))
        except Unavailable:
            return False
        return answer.parse(Reply).error is None

    async def say(self, rounds: int) -> None:
        """Send `rounds` messages to each session; returns when the log holds them all."""
        publications = []
        for _ in range(rounds):
            for session in self.sessions:
                content = f"message {next(self._numbers)}"
                self.sent[session].append(content)
                event = Event("tests", send(session, content), subject=str(session))
                publications.append((topology.log(1), "0", event))
        with suppress(Unavailable):  # unknown: the bus goes on until the broker holds them
            await self.bus.publish_all(publications)

    async def talk(self, rounds: int, ahead: int) -> None:
        """Go on sending until cancelled; never more than `ahead` messages a session before what is stored.

        More than 700 would not fit into the context of one turn.
        """
        while True:
            await self.say(rounds)
            async with asyncio.timeout(PATIENCE):
                while self.total - await self.stored() > ahead * len(self.sessions):  # noqa: ASYNC110 - another process is asked
                    await asyncio.sleep(LOOK)

    @asynccontextmanager
    async def talking(self, rounds: int, ahead: int) -> AsyncIterator[None]:
        """Talk meanwhile."""
        task = asyncio.create_task(self.talk(rounds, ahead))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def listen(self) -> None:
        """Keep what is told of stored messages and heads, until cancelled."""
        subscription = await self.bus.subscribe(topology.delivery_queue("crowd"), prefetch=500)
        await subscription.bind(topology.DELIVERY, topology.session_key(0))
        while True:
            batch = await subscription.take()
            await subscription.ack(batch.deliveries)
            if batch.gap:  # a loaded machine lost our own connection: read what was missed, as a gateway does
                for session, last in await self._last():
                    self._hear(session, last)
            for event in (event for delivery in batch.deliveries for event in read_body(delivery.body)):
                if event.type == MessageStored.TYPE:
                    message = event.data["message"]
                    self.told[UUID(message["id"])] += 1
                    self._hear(UUID(message["session_id"]), message["updated_seq"])
                elif event.type == SessionHead.TYPE:
                    self._hear(UUID(event.data["session_id"]), event.data["last_seq"])

    def _hear(self, session: UUID, number: int) -> None:
        self.heads[session] = max(number, self.heads.get(session, 0))

    @property
    def total(self) -> int:
        """Messages sent so far."""
        return sum(map(len, self.sent.values()))

    async def stored(self) -> int:
        """Users' messages in the database."""
        return int((await self._rows("SELECT count(*) FROM chat.chat_messages WHERE sender_type = 'user'"))[0][0])

    async def gone_on(self, most: int) -> None:
        """Wait until so many messages are stored; say who holds them up if they are not."""
        try:
            async with asyncio.timeout(PATIENCE / 2):
                while await self.stored() < most:  # noqa: ASYNC110 - another process is asked
                    await asyncio.sleep(LOOK)
        except TimeoutError:
            columns = "state, wait_event_type, wait_event, now() - state_change, left(query, 80)"
            held = await self._rows(f"SELECT {columns} FROM pg_stat_activity WHERE xact_start IS NOT NULL")
            pytest.fail(f"nothing goes on: {held}")

    async def transactions(self) -> int:
        """Transactions of workers that are open and wait for the worker's next statement."""
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()"
        )
        return int((await self._rows(query))[0][0])

    async def settled(self) -> None:
        """Wait until everything sent is stored and answered, and told."""
        try:
            await self._settle()
        except TimeoutError:
            told = sum(self.heads.get(session) == last for session, last in await self._last())
            pytest.fail(f"{await self.stored()} of {self.total} stored; {told} of {len(self.sessions)} sessions told")

    async def _settle(self) -> None:
        open_turns = "SELECT count(*) FROM chat.turns WHERE closed_at IS NULL"
        async with asyncio.timeout(PATIENCE):
            while await self.stored() < self.total or (await self._rows(open_turns))[0][0]:  # noqa: ASYNC110 - another process is asked
                await asyncio.sleep(LOOK)
            last = dict(await self._last())
            while any(self.heads.get(session) != last[session] for session in self.sessions):  # noqa: ASYNC110 - another process is asked
                await asyncio.sleep(LOOK)

    async def check(self) -> None:
        """Nothing lost, doubled or out of order; no hole; every message answered once; nothing told twice."""
        columns = "session_id, seq, updated_seq, sender_type, content, status, error_code"
        rows = await self._rows(f"SELECT {columns} FROM chat.chat_messages ORDER BY session_id, seq")
        by_session = {session: list(group) for session, group in groupby(rows, key=itemgetter(0))}
        assert set(by_session) == set(self.sessions)
        last = dict(await self._last())
        for session, messages in by_session.items():
            assert [m.seq for m in messages] == list(range(1, len(messages) + 1)), "a hole, or a number twice"
            assert [m.updated_seq for m in messages] == [m.seq for m in messages]
            assert last[session] == len(messages)
            assert [m.content for m in messages if m.sender_type == "user"] == self.sent[session]
            replies = [m for m in messages if m.sender_type == "chatbot"]
            assert replies
            ends = Counter((m.status, m.error_code) for m in replies)
            assert set(ends) == {("complete", None)}, ends
            assert "\n".join(m.content for m in replies).split("\n") == self.sent[session], "answered twice, or not"
        assert max(self.told.values()) == 1
        letters = await self.bus.exists(topology.dead_queue(topology.log_queue(0, 1)))
        assert letters
        async with asyncio.timeout(PATIENCE):
            box = await self.bus.subscribe(topology.dead_queue(topology.log_queue(0, 1)), prefetch=10)
            try:
                async with asyncio.timeout(0.5):
                    assert not (await box.take()).deliveries, "a dead letter"
            except TimeoutError:
                pass
            await box.close()

    async def _last(self) -> list[tuple[UUID, int]]:
        """The newest number of each session."""
        return await self._rows("SELECT id, last_seq FROM chat.chat_sessions")  # type: ignore[return-value]

    async def _rows(self, query: str) -> list[tuple[object, ...]]:
        async with self.engine.connect() as connection:
            return list(await connection.execute(text(query)))  # type: ignore[arg-type]


@asynccontextmanager
async def crowded(
    directory: Path, postgresql_url: str, amqp_url: str, sessions: int
) -> AsyncIterator[tuple[Workers, Crowd]]:
    """Running workers and a crowd that has not spoken yet; they must end cleanly after all that was done to them."""
    workers = Workers(directory, postgresql_url=postgresql_url, amqp_url=amqp_url)
    engine = open_engine(postgresql_url, schema=SCHEMA)
    try:
        await workers.start()
        async with RabbitMQBus(amqp_url, name="crowd") as bus:
            crowd = Crowd(bus, engine)
            await crowd.gather(sessions)
            listening = asyncio.create_task(crowd.listen())
            try:
                yield workers, crowd
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
        await workers.stop()
    finally:
        workers.close()
        await engine.dispose()

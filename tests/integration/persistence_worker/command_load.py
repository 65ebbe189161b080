"""Puts real workers under load: sends commands to the log, and checks in PostgreSQL how they were stored."""

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
from tests.support.commands import send, start
from tests.support.stack import DistributedStack, Part
from tests.support.waiting import until

WORKERS = ("persistence_worker-1", "persistence_worker-2")
PATIENCE = 60.0  # seconds; on an idle machine every wait takes a few
QUIET = 0.5  # seconds without a dead letter after which there is none
CHATBOTS = """
[[chatbots]]
id = "echo"
name = "Echo"
kind = "echo"
default = true
options = {delay = 0}
"""


class Workers(DistributedStack):
    """Two persistence workers on one partition, and a chatbot worker that answers without a delay."""

    def _parts(self) -> dict[str, Part]:
        (self.directory / "chatbots.toml").write_text(CHATBOTS)
        self.settings |= {"PARTITIONS": "1", "CHATBOTS": str(self.directory / "chatbots.toml"), "LOG_LEVEL": "info"}
        both = {**self._database, **self._broker}
        parts = {name: Part("persistence_worker", both) for name in WORKERS}
        return {**parts, "chatbot_worker": Part("chatbot_worker", self._broker)}

    async def crash(self, name: str) -> None:
        """Kill a worker, and restart it without waiting until it is ready."""
        await self.kill9(name)
        part = self.parts[name]
        part.child = self.spawn(name, part.module, "serve", settings=part.settings, port=part.port)

    async def commands(self, name: str) -> float:
        """Return the number of commands that a worker has applied since its start; 0 if it does not answer."""

        def read() -> float:
            try:
                with urllib.request.urlopen(f"{self.parts[name].url}/metrics", timeout=2) as answer:
                    found = re.search(rb"^backchat_batch_commands_sum (\S+)$", answer.read(), re.MULTILINE)
            except OSError:
                return 0.0
            return float(found[1]) if found else 0.0

        return await asyncio.to_thread(read)

    async def active(self) -> str:
        """Return the active consumer of the partition. There must be load."""
        before = {name: await self.commands(name) for name in WORKERS}

        async def found() -> str | None:
            for name in WORKERS:
                if await self.commands(name) > before[name]:
                    return name
            return None

        return str(await until(found, PATIENCE))


@dataclass
class CommandLoad:
    """Sessions with a chatbot, the messages sent to them, and the events that were published about them."""

    bus: Bus
    engine: AsyncEngine
    sessions: list[UUID] = field(default_factory=list)
    sent: dict[UUID, list[str]] = field(default_factory=lambda: defaultdict(list))
    published: Counter[UUID] = field(default_factory=Counter)  # `message_stored` events by message
    heads: dict[UUID, int] = field(default_factory=dict)  # highest published number by session
    _numbers: count[int] = field(default_factory=count)

    async def start_sessions(self, sessions: int) -> None:
        """Start sessions when the chatbots are known."""
        log = topology.log(1)
        await until(self._chatbots_known, PATIENCE)
        async with asyncio.timeout(PATIENCE):
            for _ in range(sessions):
                command = start(title="load")
                answer = await self.bus.request(log, "0", Event("tests", command, subject=str(command.session_id)))
                assert answer.parse(Reply).error is None
                self.sessions.append(command.session_id)

    async def _chatbots_known(self) -> bool:
        try:
            answer = await self.bus.request(topology.QUERIES, topology.QUERY_KEY, Event("tests", ListChatbots()))
        except Unavailable:
            return False
        return answer.parse(Reply).error is None

    async def send(self, rounds: int) -> None:
        """Send `rounds` messages to each session; return when the log has them all."""
        publications = []
        for _ in range(rounds):
            for session in self.sessions:
                content = f"message {next(self._numbers)}"
                self.sent[session].append(content)
                event = Event("tests", send(session, content), subject=str(session))
                publications.append((topology.log(1), "0", event))
        with suppress(Unavailable):  # unknown outcome: the bus publishes them until the broker confirms
            await self.bus.publish_all(publications)

    async def send_continuously(self, rounds: int, ahead: int) -> None:
        """Send until cancelled, at most `ahead` messages per session more than are stored.

        More than 700 would not fit into the context of one turn.
        """
        while True:
            await self.send(rounds)
            await until(lambda: self._backlog_below(ahead * len(self.sessions)), PATIENCE)

    async def _backlog_below(self, messages: int) -> bool:
        return self.total - await self.stored() <= messages

    @asynccontextmanager
    async def running(self, rounds: int, ahead: int) -> AsyncIterator[None]:
        """Send continuously in the background."""
        task = asyncio.create_task(self.send_continuously(rounds, ahead))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def listen(self) -> None:
        """Count the published events of stored messages and heads, until cancelled."""
        subscription = await self.bus.subscribe(topology.delivery_queue("load"), prefetch=500)
        await subscription.bind(topology.DELIVERY, topology.session_key(0))
        while True:
            batch = await subscription.take()
            await subscription.ack(batch.deliveries)
            if batch.gap:  # the connection of the test was lost: read the numbers that it missed, as a gateway does
                for session, last in await self._last():
                    self._note_number(session, last)
            for event in (event for delivery in batch.deliveries for event in read_body(delivery.body)):
                if event.type == MessageStored.TYPE:
                    message = event.data["message"]
                    self.published[UUID(message["id"])] += 1
                    self._note_number(UUID(message["session_id"]), message["updated_seq"])
                elif event.type == SessionHead.TYPE:
                    self._note_number(UUID(event.data["session_id"]), event.data["last_seq"])

    def _note_number(self, session: UUID, number: int) -> None:
        self.heads[session] = max(number, self.heads.get(session, 0))

    @property
    def total(self) -> int:
        """The number of messages sent so far."""
        return sum(map(len, self.sent.values()))

    async def stored(self) -> int:
        """Return the number of users' messages in the database."""
        return int((await self._rows("SELECT count(*) FROM chat.chat_messages WHERE sender_type = 'user'"))[0][0])

    async def wait_until_stored(self, count: int) -> None:
        """Wait until `count` messages are stored; on a timeout report the open transactions."""
        try:
            await until(lambda: self._has_stored(count), PATIENCE / 2)
        except AssertionError:
            columns = "state, wait_event_type, wait_event, now() - state_change, left(query, 80)"
            held = await self._rows(f"SELECT {columns} FROM pg_stat_activity WHERE xact_start IS NOT NULL")
            pytest.fail(f"not stored; open transactions: {held}")

    async def _has_stored(self, count: int) -> bool:
        return await self.stored() >= count

    async def open_transactions(self) -> int:
        """Return the number of open transactions of workers that wait for the worker's next statement."""
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()"
        )
        return int((await self._rows(query))[0][0])

    async def wait_until_published(self) -> None:
        """Wait until all messages are stored and answered, and all changes published."""
        try:
            await until(self._all_answered, PATIENCE)
            last = dict(await self._last())
            await until(lambda: all(self.heads.get(session) == last[session] for session in self.sessions), PATIENCE)
        except AssertionError:
            complete = sum(self.heads.get(session) == last for session, last in await self._last())
            stored = f"{await self.stored()} of {self.total} messages stored"
            pytest.fail(f"{stored}; {complete} of {len(self.sessions)} sessions published")

    async def _all_answered(self) -> bool:
        open_turns = "SELECT count(*) FROM chat.turns WHERE closed_at IS NULL"
        return await self.stored() >= self.total and not (await self._rows(open_turns))[0][0]

    async def check(self) -> None:
        """Check that every message is stored, numbered, answered and published exactly once, in order and without a gap."""
        columns = "session_id, seq, updated_seq, sender_type, content, status, error_code"
        rows = await self._rows(f"SELECT {columns} FROM chat.chat_messages ORDER BY session_id, seq")
        by_session = {session: list(group) for session, group in groupby(rows, key=itemgetter(0))}
        assert set(by_session) == set(self.sessions)
        last = dict(await self._last())
        for session, messages in by_session.items():
            assert [m.seq for m in messages] == list(range(1, len(messages) + 1)), "a gap, or a duplicate number"
            assert [m.updated_seq for m in messages] == [m.seq for m in messages]
            assert last[session] == len(messages)
            assert [m.content for m in messages if m.sender_type == "user"] == self.sent[session]
            replies = [m for m in messages if m.sender_type == "chatbot"]
            assert replies
            ends = Counter((m.status, m.error_code) for m in replies)
            assert set(ends) == {("complete", None)}, ends
            assert "\n".join(m.content for m in replies).split("\n") == self.sent[session], "answered twice, or never"
        assert max(self.published.values()) == 1
        letters = await self.bus.exists(topology.dead_queue(topology.log_queue(0, 1)))
        assert letters
        async with asyncio.timeout(PATIENCE):
            box = await self.bus.subscribe(topology.dead_queue(topology.log_queue(0, 1)), prefetch=10)
            with suppress(TimeoutError):
                async with asyncio.timeout(QUIET):
                    assert not (await box.take()).deliveries, "a dead letter"
            await box.close()

    async def _last(self) -> list[tuple[UUID, int]]:
        """Return the newest number of each session."""
        return await self._rows("SELECT id, last_seq FROM chat.chat_sessions")  # type: ignore[return-value]

    async def _rows(self, query: str) -> list[tuple[object, ...]]:
        async with self.engine.connect() as connection:
            return list(await connection.execute(text(query)))  # type: ignore[arg-type]


@asynccontextmanager
async def load(
    directory: Path, postgresql_url: str, amqp_url: str, sessions: int
) -> AsyncIterator[tuple[Workers, CommandLoad]]:
    """Start workers, and a load that has not begun; check that the workers end cleanly."""
    workers = Workers(directory, postgresql_url=postgresql_url, amqp_url=amqp_url)
    engine = open_engine(postgresql_url, schema=SCHEMA)
    try:
        await workers.start()
        async with RabbitMQBus(amqp_url, name="load") as bus:
            commands = CommandLoad(bus, engine)
            await commands.start_sessions(sessions)
            listening = asyncio.create_task(commands.listen())
            try:
                yield workers, commands
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
        await workers.stop()
    finally:
        workers.close()
        await engine.dispose()

"""A worker on the buses of the product: in-process with SQLite, RabbitMQ with PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker import app
from persistence_worker.settings import PersistenceSettings
from persistence_worker.storage.tables import SCHEMA
from shared.bus.in_process import InProcessBus
from shared.bus.port import Bus
from shared.bus.rabbitmq import RabbitMQBus
from shared.contracts import ids, topology
from shared.contracts.accounts import UserDeleted
from shared.contracts.commands import AcceptInvite, CreateInvite, StopReply
from shared.contracts.envelope import Event, Received, read_body
from shared.contracts.events import ChatbotsAnnounced, MessageStored, MessageUpdated, SessionUpdated
from shared.contracts.payload import Payload, rfc3339
from shared.contracts.queries import JoinResult, JoinSession, ListChatbots, Reply
from shared.contracts.turns import RunTurn, StopTurn
from shared.database.engine import open_engine, sqlite_url
from tests.support.commands import ADA, CARDS, NOON, expiry, finish, send, start
from tests.support.waiting import until

PARTITIONS = 4


@pytest.fixture(params=["in_process", pytest.param("rabbitmq", marks=[pytest.mark.rabbitmq, pytest.mark.postgresql])])
async def parts(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Bus, AsyncEngine]]:
    """Open the bus and the migrated database of one of the two ways to run."""
    async with AsyncExitStack() as stack:
        bus: Bus
        if request.param == "in_process":
            engine = open_engine(sqlite_url(tmp_path / "chat.db"), schema=SCHEMA)
            bus = await stack.enter_async_context(InProcessBus(tmp_path / "bus.db"))
        else:
            engine = open_engine(request.getfixturevalue("postgresql_url"), schema=SCHEMA)
            bus = await stack.enter_async_context(RabbitMQBus(request.getfixturevalue("amqp_url"), name="tests"))
        stack.push_async_callback(engine.dispose)
        await app.migrate(engine)
        yield bus, engine


async def stopping_and_erasing(bus: Bus, session_id: UUID, put: Any, take: Any, deliveries: Any, turns: Any) -> None:
    """Use the two other exchanges: a stop is sent to every chatbot worker, a deleted account to every session."""
    control = await bus.subscribe(topology.control_queue("tests"), prefetch=10)
    await put(send(session_id, "stop this"))
    turn = (await take(turns, RunTurn)).parse(RunTurn)
    await put(StopReply(session_id=session_id, user_id=ADA, message_id=turn.message_id))
    assert (await take(control, StopTurn)).parse(StopTurn).message_id == turn.message_id
    await control.close()
    await put(finish(turn, "so f", status="stopped"))
    await put(CreateInvite(session_id=session_id, user_id=ADA, invite_hash="h", expires_at=expiry(60), max_uses=1))
    await put(AcceptInvite(session_id=session_id, user_id="bob", invite_hash="h"))
    await put(send(session_id, "a canary", "bob"))
    await put(finish((await take(turns, RunTurn)).parse(RunTurn)))
    deleted = Event("tests", UserDeleted(user_id="bob", deleted_at=rfc3339(NOON)))
    await bus.publish(topology.ACCOUNTS, topology.USER_DELETED_KEY, deleted)
    erased = (await take(deliveries, MessageUpdated)).parse(MessageUpdated).message
    assert (erased.sender_id, erased.content, erased.status) == ("bob", "", "erased")


@pytest.mark.timeout(180)
async def test_every_exchange_and_queue_of_the_worker_is_used(parts: tuple[Bus, AsyncEngine]) -> None:
    """Announce, start, send, finish, join, stop, erase."""
    bus, engine = parts
    settings = PersistenceSettings(partitions=PARTITIONS)
    service = app.build(settings, bus=bus, engine=engine, registry=CollectorRegistry())

    async def put(command: object) -> None:
        number = ids.partition(command.session_id, PARTITIONS)  # type: ignore[attr-defined]
        event = Event("tests", command, subject=str(command.session_id))  # type: ignore[arg-type, attr-defined]
        await bus.publish(topology.log(PARTITIONS), str(number), event)

    async def ask(query: Payload) -> Reply:
        answer = await bus.request(topology.QUERIES, topology.QUERY_KEY, Event("tests", query))
        return answer.parse(Reply)

    async with asyncio.timeout(100), service.lifespan():
        for queue in (topology.log_queue(PARTITIONS - 1, PARTITIONS), topology.catalogue_queue()):
            await until(partial(bus.exists, queue))
        await until(lambda: not service.missing())
        announced = ChatbotsAnnounced(chatbots=CARDS, modified_at=rfc3339(NOON))
        await bus.publish(topology.CATALOGUE, topology.CATALOGUE_KEY, Event("tests", announced))
        await until(lambda: bus.exists(topology.turn_queue("eliza")))
        command = start(chatbot_ids=["eliza"])
        number = ids.partition(command.session_id, PARTITIONS)
        deliveries = await bus.subscribe(topology.delivery_queue("tests"), prefetch=100)
        await deliveries.bind(topology.DELIVERY, topology.session_key(number))
        turns = await bus.subscribe(topology.turn_queue("eliza"), prefetch=10)
        started = await bus.request(topology.log(PARTITIONS), str(number), Event("tests", command))
        assert started.parse(Reply).error is None

        async def take(subscription: object, kind: type[Payload]) -> Received:
            while True:
                batch = await subscription.take()  # type: ignore[attr-defined]
                await subscription.ack(batch.deliveries)  # type: ignore[attr-defined]
                events = [event for delivery in batch.deliveries for event in read_body(delivery.body)]
                for event in events:
                    if event.type == kind.TYPE:
                        return event

        await put(send(command.session_id, "hello"))
        assert (await take(deliveries, MessageStored)).parse(MessageStored).message.seq == 1
        turn = (await take(turns, RunTurn)).parse(RunTurn)
        await put(finish(turn))
        await take(deliveries, SessionUpdated)
        query = JoinSession(user_id=ADA, session_id=command.session_id, after_seq=None, limit=50)
        joined = JoinResult.read((await ask(query)).result)
        assert [m.seq for m in joined.messages] == [1, 2]
        assert joined.last_seq == 3
        await stopping_and_erasing(bus, command.session_id, put, take, deliveries, turns)
        chatbots = (await ask(ListChatbots())).result
        assert chatbots is not None
        assert [c["id"] for c in chatbots["chatbots"]] == ["echo", "eliza"]
        await deliveries.close()
        await turns.close()
        assert service.drain is not None
        await service.drain()

"""The private servers of the tests: they restart with their data, pause and resume, and never outlive the tests."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import aio_pika
import asyncpg
import psutil
import pytest

from tests.support.servers import PostgreSQL, RabbitMQ

ROOT = Path(__file__).parents[2]


def dsn(url: str) -> str:
    return url.replace("+asyncpg", "")


async def test_killed_postgresql_restarts_with_its_data(postgresql: PostgreSQL, postgresql_url: str) -> None:
    connection = await asyncpg.connect(dsn(postgresql_url))
    await connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    postgresql.kill()
    assert not postgresql.running
    with pytest.raises((asyncpg.PostgresError, OSError, asyncpg.InterfaceError)):
        await connection.fetchval("SELECT one FROM kept")
    postgresql.start()
    connection = await asyncpg.connect(dsn(postgresql_url))
    assert await connection.fetchval("SELECT one FROM kept") == 1
    await connection.close()


async def test_paused_postgresql_does_not_answer_until_it_is_resumed(
    postgresql: PostgreSQL, postgresql_url: str
) -> None:
    connection = await asyncpg.connect(dsn(postgresql_url))
    postgresql.pause()
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await asyncpg.connect(dsn(postgresql_url))
    finally:
        postgresql.resume()
    assert await connection.fetchval("SELECT 2") == 2
    await connection.close()


async def test_each_test_has_a_separate_vhost_and_confirmed_messages_survive_a_kill(
    rabbitmq: RabbitMQ, amqp_url: str
) -> None:
    connection = await aio_pika.connect(amqp_url)
    channel = await connection.channel()
    await channel.declare_queue("kept", durable=True, arguments={"x-queue-type": "quorum"})
    await channel.default_exchange.publish(aio_pika.Message(b"here", delivery_mode=2), "kept")
    await asyncio.to_thread(rabbitmq.flush_registry)
    await asyncio.to_thread(rabbitmq.kill)
    await asyncio.to_thread(rabbitmq.start)
    connection = await aio_pika.connect(amqp_url)
    async with connection:
        channel = await connection.channel()
        message = await (await channel.get_queue("kept")).get(timeout=10)
        assert message.body == b"here"
    other = rabbitmq.fresh_vhost()
    async with await aio_pika.connect(other) as connection:
        channel = await connection.channel()
        with pytest.raises(aio_pika.exceptions.ChannelNotFoundEntity):
            await channel.declare_queue("kept", passive=True)
    rabbitmq.retire_vhost(other)


def test_no_server_survives_a_killed_test_process(tmp_path: Path) -> None:
    script = (
        "from tests.support.servers import PostgreSQL, RabbitMQ\n"
        "servers = [PostgreSQL().start(), RabbitMQ().start()]\n"
        "print(*(s._home.path for s in servers), flush=True)\n"
        "input()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    homes = [Path(home) for home in process.stdout.readline().split()]
    assert len(homes) == 2
    family = psutil.Process(process.pid).children(recursive=True)
    servers = [child for child in family if child.name() in ("postgres", "beam.smp", "epmd")]
    assert {child.name() for child in servers} >= {"postgres", "beam.smp", "epmd"}
    process.kill()
    process.communicate(timeout=30)
    _, alive = psutil.wait_procs(family, timeout=15)  # also the guards, which end last, after the directories
    assert not [child for child in alive if child.status() != psutil.STATUS_ZOMBIE]
    assert not [home for home in homes if home.exists()]

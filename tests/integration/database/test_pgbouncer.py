"""PgBouncer between Backchat and PostgreSQL, with no change but the URL."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence_worker import app
from persistence_worker.storage.tables import SCHEMA
from shared.database.engine import SESSION, open_engine
from tests.integration.auth_service.conftest import running
from tests.integration.database.conftest import Run, assert_refused
from tests.integration.persistence_worker.conftest import Worker
from tests.support.commands import send
from tests.support.pgbouncer import PgBouncer, required
from tests.support.servers import NotInstalled, PostgreSQL
from tests.support.waiting import until

pytestmark = [pytest.mark.timeout(180), pytest.mark.postgresql]

OLD, NEW = "before 1.21", "1.21 or newer"
IGNORED = f"ignore_startup_parameters = {', '.join(SESSION)}\n"
WORKING = [("session", OLD, ""), ("session", NEW, ""), ("transaction", NEW, ""), ("transaction", NEW, IGNORED)]
REFUSED = [
    ("transaction", OLD, "", "PgBouncer must be 1.21 or newer"),
    ("transaction", OLD, IGNORED, "PgBouncer must be 1.21 or newer"),
    ("transaction", NEW, "max_prepared_statements = 0\n", "PgBouncer must be 1.21 or newer"),
    ("statement", OLD, "", "not allowed in statement pooling mode"),
    ("statement", NEW, "", "not allowed in statement pooling mode"),
]
COMMANDS = [["auth_service", "migrate"], ["persistence_worker", "migrate"], ["auth_service"], ["persistence_worker"]]

Behind = Callable[..., PgBouncer]


def database_of(url: str) -> str:
    return url.rpartition("/")[2]


@pytest.fixture
def behind(postgresql: PostgreSQL) -> Iterator[Behind]:
    """Starts poolers in front of a server."""
    started: list[PgBouncer] = []

    def start(mode: str, release: str, settings: str = "", server: PostgreSQL = postgresql) -> PgBouncer:
        try:
            program = required(tracking=release == NEW)
        except NotInstalled as error:
            pytest.skip(str(error))
        pooler = PgBouncer(server, mode, program, settings=settings)
        started.append(pooler)
        return pooler.start()

    yield start
    for pooler in started:
        pooler.stop()


def _name(value: object) -> str | None:
    return None if not isinstance(value, tuple) else " ".join(part.split(" = ")[0] for part in value[:3] if part)


@pytest.fixture(params=WORKING, ids=_name)
def pooled_url(request: pytest.FixtureRequest, behind: Behind, postgresql_url: str) -> str:
    """The URL of an empty database behind PgBouncer."""
    return behind(*request.param).url(database_of(postgresql_url))


@pytest.fixture
async def engine(pooled_url: str) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(pooled_url, schema=SCHEMA)
    await app.migrate(engine)
    yield engine
    await engine.dispose()


async def test_limits_of_time_are_in_force_in_each_transaction(engine: AsyncEngine) -> None:
    columns = ", ".join(f"current_setting('{name}')" for name in SESSION)

    async def limits() -> list[str]:
        async with engine.begin() as connection:
            return list((await connection.execute(text(f"SELECT {columns}"))).one())

    for found in await asyncio.gather(*(limits() for _ in range(4))):
        assert dict(zip(SESSION, found, strict=True)) == SESSION


async def test_lock_that_is_held_ends_a_statement_in_time(engine: AsyncEngine) -> None:
    lock = text("SELECT pg_advisory_xact_lock(1)")

    async def waiting() -> float:
        begun = time.monotonic()
        with pytest.raises(DBAPIError) as failed:
            async with engine.begin() as connection:
                await connection.execute(lock)
        assert getattr(failed.value.orig, "sqlstate", None) == "55P03", "lock_not_available"
        return time.monotonic() - begun

    async with engine.begin() as holder:
        await holder.execute(lock)
        waited, *_ = await asyncio.gather(waiting(), holder.execute(text("SELECT pg_sleep(8)")))
    assert waited < 8


async def test_worker_stores_messages(worker: Worker) -> None:
    async with worker() as running:
        sessions = [await running.opened() for _ in range(3)]
        for n in range(40):
            for session_id in sessions:
                running.put(send(session_id, str(n)))
        await until(lambda: len(running.stored) == 120)
        assert not running.service.missing()


async def test_people_register_and_log_in(pooled_url: str, tmp_path: Path) -> None:
    """Two processes at once, because prepared statements of the same name must not meet."""
    async with running(pooled_url, tmp_path / "a" / "keys") as one, running(pooled_url, tmp_path / "b" / "keys") as two:
        answers = await asyncio.gather(
            *(each.register(f"user{n}{i}") for n in range(3) for i, each in enumerate((one, two)))
        )
        assert {answer.status_code for answer in answers} == {201}
        logins = await asyncio.gather(
            *(each.login(f"user{n}{i}") for n in range(3) for i, each in enumerate((one, two)))
        )
        assert {answer.status_code for answer in logins} == {200}


@pytest.mark.parametrize(("mode", "release", "settings", "said"), REFUSED)
def test_pooler_that_cannot_work_is_refused_in_one_line(
    behind: Behind, postgresql_url: str, run: Run, mode: str, release: str, settings: str, said: str
) -> None:
    url = behind(mode, release, settings).url(database_of(postgresql_url))
    for arguments in COMMANDS:
        assert_refused(run(arguments, url), said)


@pytest.mark.parametrize("release", [OLD, NEW])
def test_database_that_does_not_exist_is_refused_through_a_pooler(behind: Behind, run: Run, release: str) -> None:
    url = behind("session", release).url("nowhere")
    ended = run(COMMANDS[0], url)  # of a second one, the pooler delays its answer
    assert_refused(ended, 'database "nowhere" does not exist')


@pytest.mark.parametrize(("mode", "release"), [("session", OLD), ("transaction", NEW)])
async def test_server_that_is_away_behind_a_pooler_is_waited_for(
    behind: Behind, run: Run, tmp_path: Path, mode: str, release: str
) -> None:
    server = PostgreSQL().start()
    try:
        pooler = behind(mode, release, "server_login_retry = 1\n", server)
        url = pooler.url("postgres")
        engine = open_engine(url, schema=SCHEMA)
        await app.migrate(engine)
        await engine.dispose()
        async with running(url, tmp_path / "keys") as auth:
            assert (await auth.register("alice")).status_code == 201
            await asyncio.to_thread(server.kill)
            await until(lambda: "database" in auth.service.missing(), 30)
            ended = await asyncio.to_thread(run, COMMANDS[1], url)
            assert ended.returncode == 1, ended.stderr
            await asyncio.to_thread(server.start)

            async def logs_in() -> bool:
                return (await auth.login("alice")).status_code == 200

            await until(logs_in, 30)
            await until(lambda: not auth.service.missing())
    finally:
        server.stop()

"""Fixtures of all tests: private servers, started when the first test asks for them, and a clean environment.

`BACKCHAT_TEST_DATABASE_URL` (its user may create databases) and `BACKCHAT_TEST_AMQP_URL` name servers to use
instead; tests that must kill or freeze a server then fail and say so. `BACKCHAT_TEST_STACK_URL` is where a whole
stack runs: the end-to-end tests are run on that one then (tests/e2e/conftest.py says which).
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Final, TypeVar

import hypothesis
import psycopg
import pytest
from sqlalchemy.engine import make_url

from tests.support import alarm
from tests.support.servers import NotInstalled, PostgreSQL, RabbitMQ

PREFIX = "BACKCHAT_"
OURS = "BACKCHAT_TEST_"  # stay, for the processes that pytest-xdist starts
STARTING = 180  # seconds
DATABASE_URL: Final = os.environ.get("BACKCHAT_TEST_DATABASE_URL")  # noqa: TID251 - the tests' own setting
AMQP_URL: Final = os.environ.get("BACKCHAT_TEST_AMQP_URL")  # noqa: TID251 - the tests' own setting
STACK_URL: Final = os.environ.get("BACKCHAT_TEST_STACK_URL")  # noqa: TID251 - the tests' own setting

for name in [name for name in os.environ if name.startswith(PREFIX) and not name.startswith(OURS)]:  # noqa: TID251
    del os.environ[name]  # noqa: TID251 - a developer's own settings must not change what is tested

hypothesis.settings.register_profile("backchat", deadline=None)  # a busy machine is slow, not wrong
hypothesis.settings.load_profile("backchat")

Fresh = Callable[[], AbstractContextManager[str]]
Server = TypeVar("Server", PostgreSQL, RabbitMQ)


def pytest_configure(config: pytest.Config) -> None:
    """Bound what pytest-timeout leaves unbounded; not under a debugger, where somebody thinks."""
    if not config.getoption("usepdb"):
        config.pluginmanager.register(alarm, "alarm")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by the servers that it stands on, so that `-m "not rabbitmq"` needs no reminder.

    Fixtures tell, and parameters with the name of a server, by which a suite runs on several implementations.
    """
    for item in items:
        asked = {*getattr(item, "fixturenames", ())}
        if callspec := getattr(item, "callspec", None):
            asked |= {value for value in callspec.params.values() if isinstance(value, str)}
        if asked & {"new_database", "postgresql"}:
            item.add_marker(pytest.mark.postgresql)
        if asked & {"new_vhost", "rabbitmq"}:
            item.add_marker(pytest.mark.rabbitmq)
        if asked & {"new_database", "postgresql", "new_vhost", "rabbitmq", "stack", "own_stack"}:
            _be_patient(item)


def _be_patient(item: pytest.Item) -> None:
    """Let a test take what it takes to start its servers and processes first, on a machine that is busy."""
    marker = item.get_closest_marker("timeout")
    if marker is None or marker.args[0] < STARTING:
        item.add_marker(pytest.mark.timeout(STARTING), append=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that tests measured (`record_property("figure", …)`), also those of parallel processes."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    figures = {value for report in reports for name, value in report.user_properties if name == "figure"}
    if figures:
        terminalreporter.section("figures")
        for figure in sorted(map(str, figures)):
            terminalreporter.write_line(figure)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """The session's PostgreSQL server; a test that kills it may leave it so."""
    yield from _serve(PostgreSQL, "DATABASE_URL", DATABASE_URL)


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    """The session's RabbitMQ node; a test that kills it may leave it so."""
    yield from _serve(RabbitMQ, "AMQP_URL", AMQP_URL)


@pytest.fixture(scope="session")
def new_database(request: pytest.FixtureRequest) -> Fresh:
    """Makes a fresh, empty database for the time of a `with` block, which gets its `postgresql+asyncpg://…` address."""
    if DATABASE_URL:
        return lambda: _database(DATABASE_URL, None)
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return lambda: _database(server.url(), server)


@pytest.fixture(scope="session")
def new_vhost(request: pytest.FixtureRequest) -> Fresh:
    """Makes a fresh vhost for the time of a `with` block, which gets its `amqp://…` address."""
    if AMQP_URL:
        return lambda: contextlib.nullcontext(AMQP_URL)
    server: RabbitMQ = request.getfixturevalue("rabbitmq")
    return lambda: _vhost(server)


@pytest.fixture
def postgresql_url(new_database: Fresh) -> Iterator[str]:
    """The address of a fresh, empty database (`postgresql+asyncpg://…`), dropped afterwards."""
    with new_database() as url:
        yield url


@pytest.fixture
def amqp_url(new_vhost: Fresh) -> Iterator[str]:
    """The address of a fresh vhost (of the given one, with `BACKCHAT_TEST_AMQP_URL`)."""
    with new_vhost() as url:
        yield url


@contextlib.contextmanager
def _database(admin: str, server: PostgreSQL | None) -> Iterator[str]:
    name = f"test_{secrets.token_hex(6)}"
    dsn = make_url(admin).set(drivername="postgresql").render_as_string(hide_password=False)

    def execute(statement: str) -> None:
        if server:
            _alive(server)
        with psycopg.connect(
            dsn, autocommit=True, connect_timeout=30, options="-c statement_timeout=90s"
        ) as connection:
            connection.execute(statement)

    execute(f"CREATE DATABASE {name}")
    yield make_url(admin).set(database=name).render_as_string(hide_password=False)
    execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextlib.contextmanager
def _vhost(server: RabbitMQ) -> Iterator[str]:
    url = _alive(server).fresh_vhost()
    yield url
    server.retire_vhost(url)


def _serve(kind: type[Server], variable: str, given: str | None) -> Iterator[Any]:
    if given:
        pytest.fail(f"this test kills or freezes a private server: run it without BACKCHAT_TEST_{variable}", False)
    try:
        server = kind()
    except NotInstalled as error:
        pytest.fail(f"{error}, or set BACKCHAT_TEST_{variable}", pytrace=False)
    try:
        yield server.start()
    finally:
        server.stop()


def _alive(server: Server) -> Server:
    return server if server.running else server.start()

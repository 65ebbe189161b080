"""Fixtures of all tests: private servers, started when the first test needs them, and a clean environment.

`BACKCHAT_TEST_DATABASE_URL` (its user may create databases) and `BACKCHAT_TEST_AMQP_URL` name servers to use instead;
tests that must kill or suspend a server then fail with a message. `BACKCHAT_TEST_STACK_URL` is the address of a running
stack for the end-to-end tests (see tests/e2e/conftest.py).
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
OURS = "BACKCHAT_TEST_"  # kept for the processes that pytest-xdist starts
STARTING = 180  # seconds
DATABASE_URL: Final = os.environ.get("BACKCHAT_TEST_DATABASE_URL")  # noqa: TID251 - the tests' own setting
AMQP_URL: Final = os.environ.get("BACKCHAT_TEST_AMQP_URL")  # noqa: TID251 - the tests' own setting
STACK_URL: Final = os.environ.get("BACKCHAT_TEST_STACK_URL")  # noqa: TID251 - the tests' own setting

for name in [name for name in os.environ if name.startswith(PREFIX) and not name.startswith(OURS)]:  # noqa: TID251
    del os.environ[name]  # noqa: TID251 - settings of a developer must not change the tests

hypothesis.settings.register_profile("backchat", deadline=None)  # a busy machine is slow, not wrong
hypothesis.settings.load_profile("backchat")

Fresh = Callable[[], AbstractContextManager[str]]
Server = TypeVar("Server", PostgreSQL, RabbitMQ)


def pytest_configure(config: pytest.Config) -> None:
    """Register additional timeouts, except under a debugger."""
    if not config.getoption("usepdb"):
        config.pluginmanager.register(alarm, "alarm")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by the servers that it uses, for selections such as `-m "not rabbitmq"`.

    They follow from its fixtures, and from parameters with the name of a server in suites for several implementations.
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
            _raise_timeout(item)


def _raise_timeout(item: pytest.Item) -> None:
    """Raise the timeout of a test that may start servers and processes first, on a busy machine."""
    marker = item.get_closest_marker("timeout")
    if marker is None or marker.args[0] < STARTING:
        item.add_marker(pytest.mark.timeout(STARTING), append=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that tests have recorded (`record_property("figure", …)`) in all processes."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    figures = {value for report in reports for name, value in report.user_properties if name == "figure"}
    if figures:
        terminalreporter.section("figures")
        for figure in sorted(map(str, figures)):
            terminalreporter.write_line(figure)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """PostgreSQL server of the session; a test that kills it need not restart it."""
    yield from _serve(PostgreSQL, "DATABASE_URL", DATABASE_URL)


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    """RabbitMQ node of the session; a test that kills it need not restart it."""
    yield from _serve(RabbitMQ, "AMQP_URL", AMQP_URL)


@pytest.fixture(scope="session")
def new_database(request: pytest.FixtureRequest) -> Fresh:
    """Creates an empty database for the time of a `with` block and gives its `postgresql+asyncpg://…` address."""
    if DATABASE_URL:
        return lambda: _database(DATABASE_URL, None)
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return lambda: _database(server.url(), server)


@pytest.fixture(scope="session")
def new_vhost(request: pytest.FixtureRequest) -> Fresh:
    """Creates a vhost for the time of a `with` block and gives its `amqp://…` address."""
    if AMQP_URL:
        return lambda: contextlib.nullcontext(AMQP_URL)
    server: RabbitMQ = request.getfixturevalue("rabbitmq")
    return lambda: _vhost(server)


@pytest.fixture
def postgresql_url(new_database: Fresh) -> Iterator[str]:
    """Address of an empty database (`postgresql+asyncpg://…`), dropped afterwards."""
    with new_database() as url:
        yield url


@pytest.fixture
def amqp_url(new_vhost: Fresh) -> Iterator[str]:
    """Address of an empty vhost, or `BACKCHAT_TEST_AMQP_URL`."""
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
        pytest.fail(f"this test kills or suspends a private server: run it without BACKCHAT_TEST_{variable}", False)
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

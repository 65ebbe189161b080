"""Fixtures of all tests: private servers, started when the first test asks for them, and a clean environment.

`BACKCHAT_TEST_DATABASE_URL` (its user may create databases) and `BACKCHAT_TEST_AMQP_URL` name servers to use
instead; tests that must kill or freeze a server then fail and say so.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from typing import Any, TypeVar

import psycopg
import pytest
from sqlalchemy.engine import make_url

from tests.support.servers import NotInstalled, PostgreSQL, RabbitMQ

PREFIX = "BACKCHAT_"
DATABASE_URL = os.environ.get("BACKCHAT_TEST_DATABASE_URL")  # noqa: TID251 - the tests' own setting
AMQP_URL = os.environ.get("BACKCHAT_TEST_AMQP_URL")  # noqa: TID251 - the tests' own setting

for name in [name for name in os.environ if name.startswith(PREFIX)]:  # noqa: TID251
    del os.environ[name]  # noqa: TID251 - a developer's own settings must not change what is tested

Server = TypeVar("Server", PostgreSQL, RabbitMQ)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by the servers that it stands on, so that `-m "not rabbitmq"` needs no reminder."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "postgresql" in fixtures:
            item.add_marker(pytest.mark.postgresql)
        if "rabbitmq" in fixtures:
            item.add_marker(pytest.mark.rabbitmq)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """The session's PostgreSQL server; a test that kills it may leave it so."""
    yield from _serve(PostgreSQL, "DATABASE_URL", DATABASE_URL)


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    """The session's RabbitMQ node; a test that kills it may leave it so."""
    yield from _serve(RabbitMQ, "AMQP_URL", AMQP_URL)


@pytest.fixture
def postgresql_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a fresh, empty database (`postgresql+asyncpg://…`), dropped afterwards."""
    if DATABASE_URL:
        admin = DATABASE_URL
    else:
        server = _alive(request.getfixturevalue("postgresql"))
        admin = server.url()
    database = f"test_{secrets.token_hex(6)}"
    dsn = make_url(admin).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database}")
    yield make_url(admin).set(database=database).render_as_string(hide_password=False)
    if not DATABASE_URL:
        _alive(server)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {database} WITH (FORCE)")


@pytest.fixture
def amqp_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a fresh vhost (of the given one, with `BACKCHAT_TEST_AMQP_URL`)."""
    if AMQP_URL:
        yield AMQP_URL
        return
    server = _alive(request.getfixturevalue("rabbitmq"))
    url = server.fresh_vhost()
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

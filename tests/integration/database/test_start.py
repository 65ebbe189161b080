"""A database address that cannot work ends each command with one line and exit code 2."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import make_url

from tests.integration.database.conftest import Run, assert_refused
from tests.support.ports import free_port

pytestmark = [pytest.mark.timeout(180), pytest.mark.postgresql]

COMMANDS = [["auth_service", "migrate"], ["auth_service"], ["persistence_worker", "migrate"], ["persistence_worker"]]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"database": "nowhere"}, 'database "nowhere" does not exist'),
        ({"username": "stranger"}, 'role "stranger" does not exist'),
        ({"query": {"sslmode": "require"}}, "rejected SSL upgrade"),
        ({"query": {"options": "-c nonsense=1"}}, "nonsense"),
    ],
    ids=["database", "user", "TLS", "parameter"],
)
def test_wrong_address_is_refused(
    run: Run, postgresql_url: str, arguments: list[str], change: dict[str, object], said: str
) -> None:
    url = make_url(postgresql_url).set(**change)  # type: ignore[arg-type]
    assert_refused(run(arguments, url.render_as_string(hide_password=False)), said)


@pytest.fixture
def poor(postgresql_url: str) -> Iterator[psycopg.Connection]:
    """A connection of a superuser, and the role `poor`, which may only connect."""
    dsn = make_url(postgresql_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS poor")
        connection.execute("CREATE ROLE poor LOGIN")
        yield connection
        connection.execute("DROP OWNED BY poor")
        connection.execute("DROP ROLE poor")


def as_poor(url: str) -> str:
    return make_url(url).set(username="poor").render_as_string(hide_password=False)


@pytest.mark.parametrize("arguments", [["auth_service", "migrate"], ["persistence_worker", "migrate"]], ids=" ".join)
def test_migration_names_the_right_that_is_missing(
    run: Run, poor: psycopg.Connection, postgresql_url: str, arguments: list[str]
) -> None:
    schema = "auth" if "auth" in arguments[0] else "chat"
    assert_refused(run(arguments, as_poor(postgresql_url)), "the right CREATE on the database")
    poor.execute(f"CREATE SCHEMA {schema}")  # type: ignore[call-overload]
    poor.execute(f"GRANT USAGE ON SCHEMA {schema} TO poor")  # type: ignore[call-overload]
    assert_refused(run(arguments, as_poor(postgresql_url)), "the right CREATE on the schema")


@pytest.mark.parametrize("arguments", [["auth_service", "migrate"], ["persistence_worker", "migrate"]], ids=" ".join)
def test_schema_that_exists_needs_no_right_to_create_one(
    run: Run, poor: psycopg.Connection, postgresql_url: str, arguments: list[str]
) -> None:
    schema = "auth" if "auth" in arguments[0] else "chat"
    poor.execute(f"CREATE SCHEMA {schema} AUTHORIZATION poor")  # type: ignore[call-overload]
    for _ in range(2):
        ended = run(arguments, as_poor(postgresql_url))
        assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("arguments", [["auth_service", "migrate"], ["persistence_worker", "migrate"]], ids=" ".join)
def test_migration_without_a_server_is_one_line_and_exit_code_1(run: Run, arguments: list[str]) -> None:
    """Another try may succeed, unlike with a wrong address."""
    ended = run(arguments, f"postgresql+asyncpg://app@127.0.0.1:{free_port()}/x")
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert "migration.failed" in line
    assert "BACKCHAT_DATABASE_URL" in line

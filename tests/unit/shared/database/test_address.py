"""URLs of PostgreSQL: the forms of SQLAlchemy and libpq are understood, and all others are one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from auth_service.settings import MigrateSettings
from persistence_worker.settings import PersistenceMigrationSettings
from shared.database.address import parse
from shared.runtime.settings import CONFIG_ERROR, load

SECRET = "hush-Vp7mRw2kXz"
BASE = f"postgresql+asyncpg://app:{SECRET}@db"


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        (f"{BASE}/x", [("db", 5432)]),
        (f"{BASE}:6432/x", [("db", 6432)]),
        (f"postgresql+asyncpg://app:{SECRET}@[::1]:6432/x", [("::1", 6432)]),
        (f"postgresql+asyncpg://app:{SECRET}@a:1,b:2,[::1]/x", [("a", 1), ("b", 2), ("::1", 5432)]),
        ("postgresql+asyncpg://app@/x?host=a:1&host=b:2", [("a", 1), ("b", 2)]),
        ("postgresql+asyncpg://app@/x?host=a,b&port=1,2", [("a", 1), ("b", 2)]),
        ("postgresql+asyncpg://app@/x?host=a&host=b&port=1&port=2", [("a", 1), ("b", 2)]),
        ("postgresql+asyncpg://app@/x?host=a,b&port=7", [("a", 7), ("b", 7)]),
        ("postgresql+asyncpg://app@/x?host=/run/postgresql", [("/run/postgresql", 5432)]),
        ("postgresql+asyncpg:///x", []),
    ],
)
def test_every_form_of_hosts_is_understood(url: str, hosts: list[tuple[str, int]]) -> None:
    assert list(parse(url).hosts) == hosts


@pytest.mark.parametrize(
    ("password", "encoded"),
    [("p@ss:w,/?#", "p%40ss%3Aw,%2F%3F%23"), ("a,b", "a,b"), ("100%", "100%25"), ("ü b", "%C3%BC%20b")],
)
def test_passwords_with_any_character_are_understood(password: str, encoded: str) -> None:
    """A comma needs no encoding (RFC 3986)."""
    found = parse(f"postgresql+asyncpg://app:{encoded}@db/x").arguments
    assert (found["user"], found["password"], found["database"]) == ("app", password, "x")


@pytest.mark.parametrize(
    ("query", "name", "value"),
    [
        ("sslmode=require", "dsn", "postgresql://?sslmode=require"),
        ("ssl=disable", "dsn", "postgresql://?sslmode=disable"),
        ("sslmode=verify-full&target_session_attrs=read-write", "dsn", "postgresql://?sslmode=verify-full"),
        ("statement_cache_size=0", "statement_cache_size", 0),
        ("dbname=y", "database", "x"),
    ],
)
def test_parameters_of_connection_strings_are_mapped(query: str, name: str, value: Any) -> None:
    assert parse(f"{BASE}/x?{query}").arguments[name] == value


def test_further_parameters_of_connection_strings_are_mapped() -> None:
    found = parse(f"{BASE}/x?connect_timeout=10&application_name=chat&options=-c%20geqo%3Doff&keepalives=1")
    assert found.timeout == 10
    assert found.server_settings == {"application_name": "chat", "options": "-c geqo=off"}
    assert parse(f"{BASE}/x?prepared_statement_cache_size=0").prepared_statements == 0


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("/x?foo=1", "foo"),
        ("/x?sslmode=sometimes", "sslmode"),
        ("/x?ssl=nonsense", "sslmode"),
        ("/x?sslrootcert=/nowhere/ca.pem", "/nowhere/ca.pem"),
        ("/x?sslcert=/nowhere/client.pem", "/nowhere/client.pem"),
        (f"/x?sslrootcert={Path(__file__)}", "sslrootcert"),
        ("/x?connect_timeout=soon", "connect_timeout"),
        ("/x?statement_cache_size=many", "statement_cache_size"),
        ("/x?target_session_attrs=standby", "target_session_attrs"),
        ("/x?channel_binding=require", "channel_binding"),
        ("/x?host=b&port=1,2,3", "port"),
        (":99999/x", "must have the form"),
        (":port/x", "must have the form"),
        (",:1/x", "must have the form"),
    ],
)
@pytest.mark.parametrize("settings", [MigrateSettings, PersistenceMigrationSettings])
def test_an_address_that_cannot_work_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], settings: Any, rest: str, said: str
) -> None:
    monkeypatch.setenv("BACKCHAT_DATABASE_URL", f"{BASE}{rest}")
    with pytest.raises(SystemExit) as caught:
        load(settings)
    [line] = capsys.readouterr().err.splitlines()
    assert caught.value.code == CONFIG_ERROR
    assert line.startswith("BACKCHAT_DATABASE_URL: ")
    assert said in line
    assert SECRET not in line

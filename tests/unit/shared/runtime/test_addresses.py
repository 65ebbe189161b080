"""Addresses in the environment: an error is one line that names the variable and shows no part of the address."""

from __future__ import annotations

import pytest

from auth_service.settings import MigrateSettings
from chat_gateway.settings import GatewayProcessSettings
from shared.runtime.process import _bind
from shared.runtime.settings import CONFIG_ERROR, load

GOOD = {
    "BACKCHAT_AMQP_URL": "amqp://a:hush-Vp7mRw2kXz@one:5672/,amqp://a:hush-Vp7mRw2kXz@two:5672/v",
    "BACKCHAT_AUTH_URL": "http://auth:8000",
}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AMQP_URL", "amqp://a:hush@host:notaport/"),
        ("AMQP_URL", "amqp://a:hush@host:5672/,amqp://a:hush@host:99999/"),
        ("AMQP_URL", "amqp:///"),
        ("AMQP_URL", "http://a:hush@host/"),
        ("AUTH_URL", "http://"),
        ("AUTH_URL", "http://auth:port"),
    ],
)
def test_wrong_address_prints_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, value: str
) -> None:
    for name, good in (GOOD | {f"BACKCHAT_{variable}": value}).items():
        monkeypatch.setenv(name, good)
    with pytest.raises(SystemExit) as caught:
        load(GatewayProcessSettings)
    (line,) = capsys.readouterr().err.splitlines()
    assert caught.value.code == CONFIG_ERROR
    assert line.startswith(f"BACKCHAT_{variable}: ")
    assert "hush" not in line


def test_valid_addresses_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, good in GOOD.items():
        monkeypatch.setenv(name, good)
    assert load(GatewayProcessSettings).amqp_url == GOOD["BACKCHAT_AMQP_URL"]


@pytest.mark.parametrize(
    "url", ["sqlite+aiosqlite:////data/auth.db", "postgresql+asyncpg://app@/db?host=/run/postgresql"]
)
def test_database_may_be_a_file_or_a_unix_socket(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("BACKCHAT_DATABASE_URL", url)
    assert load(MigrateSettings).database_url == url


def test_database_address_with_an_invalid_port_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKCHAT_DATABASE_URL", "postgresql+asyncpg://a:hush@h:notaport/d")
    with pytest.raises(SystemExit):
        load(MigrateSettings)


def test_address_without_a_host_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        _bind("no host", 0)
    assert caught.value.code == CONFIG_ERROR
    assert capsys.readouterr().err.startswith("BACKCHAT_HOST: no host: ")

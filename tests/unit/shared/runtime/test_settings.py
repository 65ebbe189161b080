"""Values of the environment that others put there: white space, and variables that Kubernetes makes."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import make_url

from chat_gateway.settings import GatewaySettings
from shared.database.engine import sqlite_url
from shared.runtime import process, settings
from shared.runtime.settings import CONFIG_ERROR, DistributedSettings, load


@pytest.mark.parametrize(
    ("variable", "value", "name", "read"),
    [
        ("AMQP_URL", "amqp://127.0.0.1/\n", "amqp_url", "amqp://127.0.0.1/"),
        ("HOST", " ::1 ", "host", "::1"),
        ("LOG_LEVEL", "debug\r\n", "log_level", "debug"),
        ("PORT", " 8001\n", "port", 8001),
        ("PARTITIONS", "\t\n", "partitions", 4),
    ],
)
def test_white_space_around_a_value_is_removed(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, name: str, read: object
) -> None:
    monkeypatch.setenv("BACKCHAT_AMQP_URL", "amqp://127.0.0.1/")
    monkeypatch.setenv(f"BACKCHAT_{variable}", value)
    assert getattr(load(DistributedSettings), name) == read


@pytest.mark.parametrize("value", ["tcp://10.96.0.1:8000", "udp://10.96.0.1:53", "tcp://[fd00::1]:8000"])
def test_variables_of_a_kubernetes_service_are_not_ours(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """A Service called `backchat` puts `BACKCHAT_PORT=tcp://…` into each pod of its namespace."""
    monkeypatch.setenv("BACKCHAT_PORT", value)
    assert load(GatewaySettings).port == 8000


@pytest.mark.parametrize(
    ("origin", "read"),
    [
        ("https://chat.example.org:443", "https://chat.example.org"),
        ("http://chat.example.org:80", "http://chat.example.org"),
        ("https://[::1]:443", "https://[::1]"),
        ("http://chat.example.org:443", "http://chat.example.org:443"),
        ("https://chat.example.org:8443", "https://chat.example.org:8443"),
        ("https://chat.example.org", "https://chat.example.org"),
    ],
)
def test_an_allowed_origin_loses_the_port_of_its_scheme(
    monkeypatch: pytest.MonkeyPatch, origin: str, read: str
) -> None:
    """Browsers never send it."""
    monkeypatch.setenv("BACKCHAT_ALLOWED_ORIGINS", origin)
    assert load(GatewaySettings).allowed_origins == (read,)


@pytest.mark.parametrize("fault", ["no text", "no right", "a directory"])
def test_a_secret_that_cannot_be_read_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, fault: str
) -> None:
    file = tmp_path / "backchat_amqp_url"
    if fault == "a directory":
        file.mkdir()
    else:
        file.write_bytes(b"\xff\xfe")
    if fault == "no right":  # root may read everything

        def refuse(*_: object, **__: object) -> str:
            raise PermissionError(13, "Permission denied", str(file))

        monkeypatch.setattr(Path, "read_text", refuse)
    monkeypatch.setattr(settings, "SECRETS", tmp_path)
    with pytest.raises(SystemExit) as caught:
        load(DistributedSettings)
    [line] = capsys.readouterr().err.splitlines()
    assert caught.value.code == CONFIG_ERROR
    assert line.startswith("BACKCHAT_AMQP_URL: ")


@pytest.mark.parametrize("name", ["per%20cent", "a%2Fb", "a?b", "hash#1", "ünï b", "a?mode=memory"])
def test_a_directory_may_have_any_name(tmp_path: Path, name: str) -> None:
    """A path that is put into a URL unescaped opens another file."""
    assert make_url(sqlite_url(tmp_path / name / "chat.db")).database == str(tmp_path / name / "chat.db")


@pytest.mark.parametrize(
    ("host", "url"),
    [("::1", "http://[::1]:8000"), ("127.0.0.1", "http://127.0.0.1:8000"), ("chat", "http://chat:8000")],
)
def test_an_address_is_written_with_brackets_where_it_needs_them(host: str, url: str) -> None:
    assert process._url(host, 8000) == url

"""Unknown variables with our prefix are warned of at start, with the closest known name."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from shared.runtime import unknown_settings
from shared.runtime.unknown_settings import warn_of_unknown_settings


@pytest.fixture(autouse=True)
def no_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(unknown_settings, "SECRETS", tmp_path)
    return tmp_path


def warned() -> dict[str, str | None]:
    with capture_logs() as logs:
        warn_of_unknown_settings()
    assert {log["event"] for log in logs} <= {"setting.unknown"}
    return {log["name"]: log.get("closest") for log in logs}


@pytest.mark.parametrize(
    ("name", "closest"),
    [
        ("BACKCHAT_AMPQ_URL", "BACKCHAT_AMQP_URL"),
        ("BACKCHAT_LOGLEVEL", "BACKCHAT_LOG_LEVEL"),
        ("BACKCHAT_ALLOWED_ORIGIN", "BACKCHAT_ALLOWED_ORIGINS"),
        ("BACKCHAT_PARTITION", "BACKCHAT_PARTITIONS"),
    ],
)
def test_unknown_variable_is_warned_of_with_the_closest_name(
    monkeypatch: pytest.MonkeyPatch, name: str, closest: str
) -> None:
    monkeypatch.setenv(name, "value")
    assert warned() == {name: closest}


def test_unknown_variable_without_a_similar_name_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKCHAT_XYZZY", "value")
    assert list(warned()) == ["BACKCHAT_XYZZY"]


def test_unknown_file_of_a_secret_is_warned_of(no_secrets: Path) -> None:
    (no_secrets / "backchat_database_ulr").write_text("value")
    (no_secrets / "backchat_amqp_url").write_text("value")
    assert warned() == {"BACKCHAT_DATABASE_ULR": "BACKCHAT_DATABASE_URL"}


@pytest.mark.parametrize(
    "name",
    [
        "BACKCHAT_PORT",
        "BACKCHAT_DATABASE_URL",
        "BACKCHAT_DATA_DIR",
        "BACKCHAT_SERVICE_HOST",
        "BACKCHAT_SERVICE_PORT_HTTP",
        "BACKCHAT_PORT_8000_TCP_ADDR",
        "BACKCHAT_GATEWAY_SERVICE_HOST",
        "BACKCHAT_GATEWAY_PORT_8000_TCP",
        "BACKCHAT_TEST_AMQP_URL",
        "BACKCHAT_WEBHOOK_KEY_FILE",
        "OTHER_URL",
    ],
)
def test_known_variables_and_those_of_kubernetes_are_not_warned_of(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "value")
    assert warned() == {}

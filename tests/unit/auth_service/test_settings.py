"""Settings of the service: each error is one line with the name of the variable."""

import pytest

from auth_service.settings import AuthProcessSettings, AuthSettings
from shared.runtime.settings import load


def set_up(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"BACKCHAT_{name}", value)


def test_defaults_are_those_of_the_contract() -> None:
    settings = AuthSettings()
    assert (settings.access_token_ttl, settings.refresh_token_ttl) == (900, 2_592_000)
    assert settings.issuer == "backchat"
    assert (settings.hashing_memory, settings.hashing_time) == (19_456, 2)
    assert settings.allowed_origins == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ACCESS_TOKEN_TTL", "0"),
        ("ACCESS_TOKEN_TTL", "86401"),
        ("ACCESS_TOKEN_TTL", "soon"),
        ("REFRESH_TOKEN_TTL", "0"),
        ("REFRESH_TOKEN_TTL", "899"),
        ("HASHING_MEMORY", "1024"),
        ("HASHING_TIME", "1"),
        ("HASHING_THREADS", "64"),
        ("ALLOWED_ORIGINS", "*"),
        ("ALLOWED_ORIGINS", "https://good.example,evil.example"),
        ("ALLOWED_ORIGINS", "https://good.example/path"),
        ("DATABASE_URL", "mysql://x"),
        ("DATABASE_URL", ""),
        ("SIGNING_KEYS", ""),
        ("AMQP_URL", ""),
        ("AMQP_URL", "http://127.0.0.1"),
    ],
)
def test_wrong_value_ends_with_one_line_and_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    good = {"DATABASE_URL": "sqlite+aiosqlite:///x", "SIGNING_KEYS": "/keys", "AMQP_URL": "amqp://127.0.0.1"}
    set_up(monkeypatch, **good | {name: value})
    with pytest.raises(SystemExit) as caught:
        load(AuthProcessSettings)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"BACKCHAT_{name}: ")


def test_origins_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(monkeypatch, ALLOWED_ORIGINS="https://Chat.example.org, http://localhost:5173,")
    assert load(AuthSettings).allowed_origins == ("https://chat.example.org", "http://localhost:5173")


def test_database_password_is_not_shown() -> None:
    settings = AuthProcessSettings(
        database_url="postgresql+asyncpg://a:hush-Vp7mRw2kXz@h/d",
        signing_keys="/k",  # type: ignore[arg-type]
        amqp_url="amqp://a:hush-Vp7mRw2kXz@h",
    )
    assert "hush" not in repr(settings)


ISSUER = {"OIDC_ISSUER": "https://login.example.org", "OIDC_CLIENT_ID": "chats"}
CALLBACK = {"OIDC_REDIRECT_URI": "https://chat.example.org/oidc/callback"}


@pytest.mark.parametrize("client_secret", ["changeme", "chats-secret", "your-client-secret", "x" * 40])
def test_placeholder_as_client_secret_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], client_secret: str
) -> None:
    """A provider on the loopback address may have one."""
    set_up(monkeypatch, **ISSUER, **CALLBACK, OIDC_CLIENT_SECRET=client_secret)
    with pytest.raises(SystemExit) as caught:
        load(AuthSettings)
    (line,) = capsys.readouterr().err.splitlines()
    assert (caught.value.code, line.partition(": ")[0]) == (2, "BACKCHAT_OIDC_CLIENT_SECRET")
    assert client_secret not in line
    set_up(monkeypatch, OIDC_ISSUER="http://127.0.0.1:9000")
    assert load(AuthSettings).oidc
    set_up(monkeypatch, **ISSUER, OIDC_CLIENT_SECRET="Uq3ZrV9-tKxw0PaM")
    assert load(AuthSettings).oidc

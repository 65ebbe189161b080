"""Processes refuse well-known credentials at start, except on loopback, and never show them."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatbot_worker.chatbots.protocol import Unusable
from chatbot_worker.kinds.secrets import read_secret
from chatbot_worker.settings import ChatbotProcessSettings
from persistence_worker.settings import PersistenceMigrationSettings
from shared.runtime.credentials import SHORTEST, is_weak_address, on_this_machine, weakness
from shared.runtime.settings import CONFIG_ERROR, load

ROOT = Path(__file__).parents[4]
ADDRESS = re.compile(r"[a-z+]+://[\w.-]+:[^\s@/{}$]+@[\w.-]+")
DEFAULTS = [
    *("guest", "postgres", "password", "changeme", "change-me", "CHANGE_ME", "secret", "example", "admin", "root"),
    *("Passw0rd!", "p@ssword", "letmein", "<password>", "your-password-here", "placeholder", "replace_me", "todo"),
    *("postgres-password-123", "backchat-secret-2026", "MySecretPassword1", "rabbitmq_default_pass", "changeme" * 5),
    *("123456789012345", "aaaaaaaaaaaaaaaaaaaa", "abababababababab", "qwertyuiop1234567890", "test-test-test-test"),
    *("Xy7", "f3k9Lq2", "correct horse battery staple", " ", "...............", "hunter2hunter2"),
]
GOOD = ["Vp7mRw2kXzQd", "kiosk-lantern-verdict-9", "Zy%3/@:#Q8r!w-k2", "sk-proj-8f2Kd0Wm1zQ", "ütf-größer-als-zwölf-æ"]
BEYOND = [
    "rabbitmq",
    "db.example.org",
    "10.0.0.5",
    "0.0.0.0",
    "[2001:db8::5]",
    "127.0.0.1.example.org",
    "localhost.example",
]
HERE = ["127.0.0.1", "127.8.9.1", "localhost", "LOCALHOST", "db.localhost", "[::1]", "[::ffff:127.0.0.1]"]


@pytest.mark.parametrize("password", ["", *DEFAULTS])
def test_default_password_is_weak_except_on_loopback(password: str) -> None:
    assert weakness(password)
    for host in BEYOND:
        assert is_weak_address(f"amqp://someone:{quote(password, safe='')}@{host}:5672/")
        assert is_weak_address(f"postgresql+asyncpg://someone:{quote(password, safe='')}@{host}/chats")


@pytest.mark.parametrize("password", GOOD)
def test_random_password_is_not_weak(password: str) -> None:
    assert weakness(password) is None
    for host in BEYOND:
        assert not is_weak_address(f"amqps://someone:{quote(password, safe='')}@{host}/")


def test_generated_password_is_never_weak() -> None:
    """Generated as by deploy/secrets.py, with the names of the services."""
    for name in ("auth_service", "chat_gateway", "persistence_worker", "chatbot_worker", "backchat_auth"):
        for _ in range(400):
            assert not is_weak_address(f"amqp://{name}:{secrets.token_urlsafe(24)}@rabbitmq:5672/")


@pytest.mark.parametrize("host", HERE)
def test_any_password_is_accepted_on_loopback(host: str) -> None:
    for user in ("", "guest@", "guest:@", "guest:guest@"):
        assert not is_weak_address(f"amqp://{user}{host}:5672/")
        assert not is_weak_address(f"postgresql+asyncpg://{user}{host}/chats")


def test_user_name_as_password_is_weak() -> None:
    assert is_weak_address("amqp://jacqueline.fernandez:jacqueline.fernandez@broker/")
    assert is_weak_address("amqp://jacqueline.fernandez:JacquelineFernandez99@broker/")
    assert not is_weak_address("amqp://vp:Vp7mRw2kXzQd@broker/"), "two letters are in many"


@pytest.mark.parametrize(
    ("url", "weak"),
    [
        ("amqp://broker/", True),  # the client then uses guest:guest
        ("amqp://name@broker/", True),
        ("postgresql+asyncpg://app@db/chats", True),
        ("postgresql+asyncpg://app@/chats?host=/run/postgresql", False),
        ("postgresql+asyncpg://app@/chats?host=db:5432", True),
        ("postgresql+asyncpg://app@/chats?host=127.0.0.1:5432&host=db.example.org", True),
        ("postgresql+asyncpg://app@/chats?host=[::1]:5432&host=127.0.0.1", False),
        ("postgresql+asyncpg://app@/chats?host=[2001:db8::1]:5432", True),
        ("sqlite+aiosqlite:////data/auth.db", False),
        ("http://auth_service:8000", False),  # needs no password
        ("http://gateway:changeme@auth_service:8000", True),
    ],
)
def test_weakness_is_judged_for_every_kind_of_address(url: str, *, weak: bool) -> None:
    assert is_weak_address(url) is weak


@pytest.mark.parametrize(
    ("address", "weak"),
    [
        ("amqp://guest:guest@rabbitmq:5672/", True),
        ("amqp://a:Vp7mRw2kXzQd@one/,amqp://a:guest@two/", True),
        ("amqp://a:Vp7mRw2kXzQd@one/, amqp://guest:guest@127.0.0.1/", False),
    ],
)
def test_process_refuses_to_start_with_a_weak_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], address: str, *, weak: bool
) -> None:
    """The error is one line that names the variable and shows no value; every address of a cluster is checked."""
    monkeypatch.setenv("BACKCHAT_AMQP_URL", address)
    if not weak:
        assert load(ChatbotProcessSettings).amqp_url == address
        return
    with pytest.raises(SystemExit) as caught:
        load(ChatbotProcessSettings)
    (line,) = capsys.readouterr().err.splitlines()
    assert caught.value.code == CONFIG_ERROR
    assert line.startswith("BACKCHAT_AMQP_URL: ")
    assert "guest" not in line


def test_migrate_refuses_weak_password(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("BACKCHAT_DATABASE_URL", "postgresql+asyncpg://postgres:postgres@db/postgres")
    with pytest.raises(SystemExit):
        load(PersistenceMigrationSettings)
    assert capsys.readouterr().err.startswith("BACKCHAT_DATABASE_URL: ")


def test_placeholder_as_model_key_is_refused_except_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A local server often accepts any key."""
    monkeypatch.setenv("MODEL_KEY", "ollama")
    here = read_secret("key", "MODEL_KEY", "http://127.0.0.1:11434/v1")
    assert here
    assert here.get_secret_value() == "ollama"
    with pytest.raises(Unusable, match=r"options\.key: MODEL_KEY is a well-known word or too short") as refused:
        read_secret("key", "MODEL_KEY", "https://models.example.org/v1")
    assert "ollama" not in str(refused.value)
    monkeypatch.setenv("MODEL_KEY", "sk-proj-8f2Kd0Wm1zQ")
    assert read_secret("key", "MODEL_KEY", "https://models.example.org/v1")


def test_shipped_files_contain_no_password() -> None:
    """Except for loopback; `{…}` and `$…` are placeholders of generated ones."""
    shipped = [ROOT / "docker-compose.yml", ROOT / "Dockerfile", ROOT / "README.md"]
    for folder in ("auth_service", "chat_gateway", "persistence_worker", "chatbot_worker", "embedded", "shared"):
        shipped += (ROOT / folder).rglob("*.py")
    for folder in ("deploy", "docs"):
        shipped += (path for path in (ROOT / folder).rglob("*") if path.suffix not in {".png", ".pyc"})
    found = [
        (str(path), url)
        for path in shipped
        if path.is_file()
        for url in ADDRESS.findall(path.read_text(errors="replace"))
        if "user:password@" not in url and is_weak_address(url)
    ]
    assert found == []
    assert ADDRESS.findall("amqp://guest:guest@rabbitmq:5672/"), "it would be found"


@given(st.text(max_size=60), st.text(max_size=20))
@example("0000001243ß", "")
def test_short_password_is_always_weak(secret: str, name: str) -> None:
    assert weakness(secret, name) is not None or len(secret) >= SHORTEST


@given(st.text(max_size=60))
def test_any_text_is_judged_as_a_host(host: str) -> None:
    assert on_this_machine(host) in (True, False)

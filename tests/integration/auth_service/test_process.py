"""The process `python -m auth_service`."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
import jwt
import pytest

from tests.support.ports import free_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(240)  # many interpreters are started, and each takes seconds on a busy machine
CANARY = "canary passcode 7351"
NO_BROKER = "amqp://127.0.0.1:1/"  # auth serves without a broker


def run(*arguments: str, typed: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "auth_service", *arguments],
        env=environment(**variables),
        input=typed,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def environment(**variables: str) -> dict[str, str]:
    named = {f"BACKCHAT_{name}": value for name, value in variables.items()}
    return {"PATH": os.defpath, "BACKCHAT_LOG_FORMAT": "json", "BACKCHAT_AMQP_URL": NO_BROKER, **named}


@contextmanager
def serving(log: Path, **variables: str) -> Iterator[tuple[subprocess.Popen[str], httpx2.Client]]:
    port = free_port()
    with log.open("a") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "auth_service"],
            env=environment(PORT=str(port), **variables),
            stderr=stderr,
            text=True,
        )
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            wait(client, "/healthz", process)
            yield process, client
    finally:
        process.kill()
        process.wait(10)


def wait(client: httpx2.Client, path: str, process: subprocess.Popen[str]) -> None:
    """Wait until `path` is answered with 200; a process that ended fails at once."""

    def answered_or_ended() -> bool:
        with suppress(httpx2.TransportError):
            return client.get(path).status_code == 200
        return process.poll() is not None

    wait_until(answered_or_ended, 60, every=0.05)
    assert process.poll() is None, f"{path} did not answer 200"


def test_migrate_serve_stop_and_serve_again(postgresql_url: str, tmp_path: Path) -> None:
    """A user registered before the stop logs in afterwards, and the old token is still valid."""
    log, variables = tmp_path / "log", {"DATABASE_URL": postgresql_url, "SIGNING_KEYS": str(tmp_path / "keys")}
    migrated = run("migrate", DATABASE_URL=postgresql_url)
    assert migrated.returncode == 0, migrated.stderr
    form = {"id": "Alice", "passcode": CANARY}
    with serving(log, **variables) as (process, client):
        wait(client, "/readyz", process)
        assert client.post("/register", json=form).status_code == 201
        first = client.post("/login", json=form).json()
        assert client.post("/login", json={**form, "passcode": CANARY + "!"}).status_code == 401
        assert "backchat_auth_logins_total" in client.get("/metrics").text
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    with serving(log, METRICS="off", **variables) as (process, client):
        bearer = {"Authorization": f"Bearer {first['access_token']}"}
        assert client.get("/me", headers=bearer).json()["id"] == "alice"
        assert client.post("/login", json=form).status_code == 200
        assert client.get("/metrics").status_code == 404
        form["passcode"], new = CANARY + " new", {"current_passcode": CANARY, "new_passcode": CANARY + " new"}
        assert client.put("/me/passcode", json=new, headers=bearer).status_code == 204
        second = client.post("/refresh", json={"refresh_token": first["refresh_token"]}).json()
        third = client.post("/refresh", json={"refresh_token": second["refresh_token"]}).json()
        assert client.post("/refresh", json={"refresh_token": first["refresh_token"]}).status_code == 401
        assert client.request("DELETE", "/me", json={"passcode": CANARY}, headers=bearer).status_code == 401
        fourth = client.post("/login", json=form).json()
        bearer = {"Authorization": f"Bearer {fourth['access_token']}"}
        assert client.request("DELETE", "/me", json={"passcode": form["passcode"]}, headers=bearer).status_code == 204
    written = log.read_text()
    assert json.loads(written.splitlines()[0])
    for tokens in (first, second, third, fourth):
        for secret in (CANARY, tokens["access_token"], tokens["refresh_token"], tokens["access_token"].split(".")[2]):
            assert secret not in written


def test_unmigrated_process_serves_and_reports_migrations_as_missing(postgresql_url: str, tmp_path: Path) -> None:
    variables = {"DATABASE_URL": postgresql_url, "SIGNING_KEYS": str(tmp_path / "keys")}
    with serving(tmp_path / "log", **variables) as (process, client):
        wait_until(lambda: client.get("/readyz").json()["missing"] == ["migrations"], 60, every=0.05)
        assert client.get("/readyz").status_code == 503
        assert run("migrate", DATABASE_URL=postgresql_url).returncode == 0
        wait(client, "/readyz", process)


def test_refused_large_upload_gets_its_answer(postgresql_url: str, tmp_path: Path) -> None:
    """Over real sockets: no reset loses the answer while the client still sends."""
    variables = {"DATABASE_URL": postgresql_url, "SIGNING_KEYS": str(tmp_path / "keys")}
    with serving(tmp_path / "log", **variables) as (_process, client):
        for body in (b"x" * 5_000_000, (b"x" * 65_536 for _ in range(80))):
            answer = client.post("/register", content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code == 413
            assert answer.json()["code"] == "payload_too_large"


def test_wrong_use_prints_one_line_and_exits_with_2(tmp_path: Path) -> None:
    good = {"DATABASE_URL": "sqlite+aiosqlite:///x.db", "SIGNING_KEYS": str(tmp_path)}
    for arguments, variables, said in [
        (["serve"], {}, "BACKCHAT_DATABASE_URL"),
        (["serve"], {**good, "SIGNING_KEYS": "/dev/null"}, "BACKCHAT_SIGNING_KEYS"),
        (["migrate"], {"DATABASE_URL": "oracle://x"}, "BACKCHAT_DATABASE_URL"),
        (["serve"], {**good, "AMQP_URL": "amqp://guest:guest@rabbitmq/"}, "BACKCHAT_AMQP_URL"),
        (["dance"], good, "usage"),
    ]:
        ended = run(*arguments, **variables)
        assert ended.returncode == 2, ended.stderr
        assert said in ended.stderr
        assert "Traceback" not in ended.stderr
        assert "guest" not in ended.stderr


def test_migration_without_a_database_fails_with_a_reason() -> None:
    ended = run("migrate", DATABASE_URL=f"postgresql+asyncpg://app@127.0.0.1:{free_port()}/x")
    assert ended.returncode == 1
    assert "migration.failed" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_operator_commands_change_accounts_of_a_running_service(postgresql_url: str, tmp_path: Path) -> None:
    """A passcode is read from standard input and never printed."""
    variables = {"DATABASE_URL": postgresql_url}
    assert run("migrate", **variables).returncode == 0

    def user(*arguments: str, typed: str = "", code: int = 0) -> None:
        ended = run("user", *arguments, typed=typed, **variables)
        assert (ended.returncode, "Traceback" in ended.stderr) == (code, False), ended.stderr
        assert CANARY not in ended.stdout + ended.stderr

    with serving(tmp_path / "log", **variables, SIGNING_KEYS=str(tmp_path / "keys")) as (process, client):
        wait(client, "/readyz", process)
        user("create", "Root", "--role", "admin", typed=CANARY + "\n")
        user("create", "root", typed=CANARY + "\n", code=1)
        form = {"id": "root", "passcode": CANARY}
        tokens = client.post("/login", json=form).json()
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert client.get("/me", headers=bearer).json()["roles"] == ["user", "admin"]
        user("disable", "root")
        assert client.get("/me", headers=bearer).status_code == 401
        assert client.post("/refresh", json={"refresh_token": tokens["refresh_token"]}).status_code == 401
        assert client.post("/login", json=form).json()["code"] == "invalid_credentials"
        user("enable", "root")
        assert client.post("/login", json=form).status_code == 200


def test_keys_rotate_under_load_without_a_failed_login(postgresql_url: str, tmp_path: Path) -> None:
    """Two replicas accept the tokens of each other, in whatever order they notice the new key."""
    keys, overlap = str(tmp_path / "keys"), 4
    variables = {"DATABASE_URL": postgresql_url, "SIGNING_KEYS": keys, "KEY_OVERLAP": str(overlap), "LIMITS": "off"}
    assert run("migrate", DATABASE_URL=postgresql_url).returncode == 0
    form = {"id": "alice", "passcode": CANARY}
    with (
        serving(tmp_path / "one", **variables) as (first, one),
        serving(tmp_path / "two", **variables) as (second, two),
    ):
        wait(one, "/readyz", first)
        wait(two, "/readyz", second)
        assert one.post("/register", json=form).status_code == 201
        old = _kid(one.post("/login", json=form).json())
        before = run("keys", "rotate", SIGNING_KEYS=keys, KEY_OVERLAP=str(overlap))
        assert (before.returncode, before.stdout) == (0, f"0002.pem added; it signs in {overlap} s\n"), before.stderr
        rotated_at, signed_by, deadline = time.monotonic(), [set[str](), set[str]()], time.monotonic() + 120
        while any(old in kids or not kids for kids in signed_by) and time.monotonic() < deadline:
            signed_by = [set(), set()]
            for _ in range(5):
                for number, (here, there) in enumerate([(one, two), (two, one)]):
                    login = here.post("/login", json=form)
                    assert login.status_code == 200, login.text
                    tokens = login.json()
                    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
                    assert there.get("/me", headers=bearer).status_code == 200, "the other replica knows the key"
                    published = {key["kid"] for key in there.get("/.well-known/jwks.json").json()["keys"]}
                    assert _kid(tokens) in published
                    signed_by[number].add(_kid(tokens))
        assert signed_by[0] == signed_by[1] != {old}
        assert time.monotonic() - rotated_at > overlap - 1, "not before it was published for that long"
        again = run("keys", "rotate", SIGNING_KEYS=keys, KEY_OVERLAP="0.5")
        assert again.returncode == 0, again.stderr
        early = run("keys", "rotate", SIGNING_KEYS=keys, KEY_OVERLAP="600")
        assert (early.returncode, "does not sign yet" in early.stderr) == (1, True)


def _kid(tokens: dict[str, str]) -> str:
    return str(jwt.get_unverified_header(tokens["access_token"])["kid"])

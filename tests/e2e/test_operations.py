"""Operations: health, metrics, invalid settings, the lock of the data directory, no secrets in logs."""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.conftest import DISTRIBUTED, KINDS
from tests.support.client import Device, Refused, new_account
from tests.support.stack import ROOT, EmbeddedStack, Stack
from tests.support.waiting import until

MODULES = ["auth_service", "chat_gateway", "persistence_worker", "chatbot_worker"]
DRIVERS = {"sqlalchemy", "asyncpg", "aiosqlite", "sqlite3", "_sqlite3", "psycopg", "alembic"}


async def test_every_process_serves_health_readiness_and_metrics(stack: Stack) -> None:
    for name, part in stack.parts.items():
        async with httpx2.AsyncClient(base_url=part.url) as http:
            health, ready, metrics = [await http.get(path) for path in ("/healthz", "/readyz", "/metrics")]
        assert health.status_code == ready.status_code == metrics.status_code == 200, name
        assert health.json()["status"] == "ok"
        assert ready.json()["missing"] == []
        assert metrics.headers["Content-Type"].startswith("text/plain")
        assert re.search(r"^backchat_\w+(\{.*\})? [\d.e+-]+$", metrics.text, re.MULTILINE), name


async def test_root_identifies_the_server(stack: Stack) -> None:
    async with httpx2.AsyncClient(base_url=stack.gateway_urls[0]) as http:
        answer = await http.get("/")
    assert answer.status_code == 200
    assert answer.json() | {"version": None} == {
        "name": "backchat",
        "message": "Backchat is running",
        "version": None,
    }


@pytest.mark.parametrize("own_stack", [DISTRIBUTED], indirect=True)
async def test_readiness_names_missing_dependencies(own_stack: Stack) -> None:
    settings = {"AMQP_URL": "amqp://nobody:nothing@127.0.0.1:1/", "AUTH_URL": "http://127.0.0.1:1"}
    part = own_stack.parts["chat_gateway-1"]
    await own_stack.kill9("chat_gateway-1")
    isolated = own_stack.spawn("isolated-gateway", "chat_gateway", settings=settings, port=part.port)

    async with httpx2.AsyncClient(base_url=part.url) as http:

        async def answer() -> httpx2.Response | None:
            if not isolated.running:
                pytest.fail(isolated.tail())
            with suppress(httpx2.TransportError):
                return await http.get("/healthz")
            return None

        health = await until(answer)
        ready = await http.get("/readyz")
    assert health.status_code == 200
    assert ready.status_code == 503
    assert "broker" in ready.json()["missing"]
    isolated.kill()


def run(module: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", **{f"BACKCHAT_{name}": value for name, value in variables.items()}}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


GIVEN = {
    "AMQP_URL": "amqp://u:hush@127.0.0.1:1/",
    "DATABASE_URL": "postgresql+asyncpg://u:hush@127.0.0.1:1/x",
    "SIGNING_KEYS": "/nonexistent/keys",
    "AUTH_URL": "http://127.0.0.1:1",
}


@pytest.mark.parametrize(
    ("module", "variables", "named"),
    [
        ("embedded", {"PORT": "http"}, "PORT"),
        ("embedded", {"PARTITIONS": "0"}, "PARTITIONS"),
        ("embedded", {"LOG_LEVEL": "loud"}, "LOG_LEVEL"),
        ("embedded", {"ACCESS_TOKEN_TTL": "soon"}, "ACCESS_TOKEN_TTL"),
        ("embedded", {"CHATBOTS": "/nonexistent/chatbots.toml"}, "CHATBOTS"),
        ("auth_service", GIVEN | {"DATABASE_URL": ""}, "DATABASE_URL"),
        ("auth_service", GIVEN | {"SIGNING_KEYS": ""}, "SIGNING_KEYS"),
        ("chat_gateway", GIVEN | {"AMQP_URL": "http://127.0.0.1"}, "AMQP_URL"),
        ("chat_gateway", GIVEN | {"AUTH_URL": ""}, "AUTH_URL"),
        ("persistence_worker", GIVEN | {"DATABASE_URL": "mysql://x"}, "DATABASE_URL"),
        ("chatbot_worker", GIVEN | {"AMQP_URL": ""}, "AMQP_URL"),
        ("chatbot_worker", GIVEN | {"CHATBOTS": "/nonexistent/chatbots.toml"}, "CHATBOTS"),
    ],
)
def test_invalid_setting_ends_with_one_line_that_names_the_variable(
    tmp_path: Path, module: str, variables: dict[str, str], named: str
) -> None:
    variables = {"DATA_DIR": str(tmp_path / "data"), "PORT": "0"} | variables
    done = run(module, **variables)
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith(f"BACKCHAT_{named}: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "hush" not in done.stderr, "the output contains a password"


async def test_second_process_on_the_same_data_directory_is_refused(tmp_path: Path) -> None:
    first = EmbeddedStack(tmp_path)
    try:
        await first.start()
        done = run("embedded", DATA_DIR=str(first.data), PORT="0")
        assert done.returncode == 2
        assert "BACKCHAT_DATA_DIR: " in done.stderr
        assert "in use" in done.stderr
        account = await new_account(first.auth_url)
        async with Device(first.gateway_urls[0], account.token) as device:
            await device.start_chat()
        await first.stop()
    finally:
        first.close()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("own_stack", KINDS, indirect=True)  # on the composed stack: tests/compose/test_containers.py
async def test_changed_number_of_partitions_is_refused(own_stack: Stack) -> None:
    await own_stack.stop()
    module = "embedded" if isinstance(own_stack, EmbeddedStack) else "persistence_worker"
    part = own_stack.parts[module]
    settings = {**part.settings, "PARTITIONS": "7"}
    child = own_stack.spawn("other-partitions", module, settings=settings, port=part.port)
    code = child.ended(timeout=30)
    assert code == 2, child.tail()
    assert "BACKCHAT_PARTITIONS: " in child.tail()
    assert "Traceback" not in child.tail()
    await own_stack.start()


def test_gateway_and_chatbot_worker_import_no_database_driver() -> None:
    for module in ("chat_gateway", "chatbot_worker"):
        script = f"import sys, {module}.__main__; print(*sys.modules)"
        loaded = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
        ).stdout.split()
        assert f"{module}.__main__" in loaded
        assert DRIVERS & {name.partition(".")[0] for name in loaded} == set()


@pytest.mark.parametrize("stack", [DISTRIBUTED], indirect=True)
def test_running_gateway_has_no_database_driver_in_memory(stack: Stack) -> None:
    """The memory map shows everything that was loaded, also after the imports."""
    mapped = {}
    for name, part in stack.parts.items():
        assert part.child
        maps = Path(f"/proc/{part.child.pid}/maps").read_text()
        mapped[name] = {driver for driver in DRIVERS if f"/{driver}" in maps}
    assert mapped["persistence_worker"], "the check finds no driver at all"
    assert not mapped["chat_gateway-1"] | mapped["chat_gateway-2"] | mapped["chatbot_worker"]


async def test_logs_contain_no_secrets(stack: Stack) -> None:
    canary = secrets.token_hex(8)
    passcode = f"passcode-{canary}"
    account = await new_account(stack.auth_url, passcode)
    async with httpx2.AsyncClient(base_url=stack.auth_url) as http:
        await http.post("/login", json={"id": account.id, "passcode": f"wrong-{passcode}"})
        await http.post("/register", json={"id": "not an id", "passcode": passcode})
        await http.post("/register", content=f'{{"passcode": "{passcode}"'.encode())
        await http.get("/me", headers={"Authorization": f"Bearer {account.token}"})
        await http.get("/me", headers={"Authorization": f"Bearer {canary}"})
    with pytest.raises(Refused):
        async with Device(stack.gateway_urls[0], f"{canary}.{canary}.{canary}"):
            pass
    async with Device(stack.gateway_urls[0], account.token) as device:
        session = await device.start_chat(title=f"title-{canary}")
        await device.reply_to(await device.send(session, f"text-{canary}"))
        for payload in malformed(canary, session):
            await device.call("send_message", payload)
        await device.call(f"event-{canary}", {"x": canary})
    log = stack.log()
    assert log, "there are no logs"
    assert [line for line in log.splitlines() if canary in line] == []
    assert account.token not in log
    assert account.token.rpartition(".")[2] not in log


def malformed(canary: str, session: dict[str, Any]) -> list[Any]:
    return [
        canary,
        [canary],
        {"session_id": canary, "content": canary},
        {"session_id": session["id"], "content": f"{canary}\0"},
        {"session_id": session["id"], "content": canary, "client_message_id": canary * 20},
    ]

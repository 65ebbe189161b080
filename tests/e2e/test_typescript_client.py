"""Runs the TypeScript client kit against a running system; the assertions are in web/src/client/live.test.ts."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import KINDS
from tests.support.stack import ROOT, Stack

WEB = ROOT / "web"
INSTALL_TIMEOUT = 240  # seconds
RUN_TIMEOUT = 150  # seconds


def find(program: str) -> str:
    """Return the machine's program of that name, else the one that `make test` installs."""
    found = shutil.which(program) or shutil.which(program, path=ROOT / ".venv" / "node")
    assert found, f"{program} is not installed: run `make test`, which brings it"
    return found


def run(*command: str | Path, timeout: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=WEB, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.fixture(scope="module")
def vitest() -> Path:
    """Return the test runner, installed as package-lock.json says."""
    lock = (WEB / "package-lock.json").read_bytes()
    made_from = WEB / "node_modules" / ".made-from"
    if not made_from.exists() or made_from.read_bytes() != lock:
        command = [find("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = run(*command, timeout=INSTALL_TIMEOUT)
        assert done.returncode == 0, done.stderr
        made_from.write_bytes(lock)
    return WEB / "node_modules" / "vitest" / "vitest.mjs"


@pytest.mark.timeout(INSTALL_TIMEOUT + RUN_TIMEOUT + 60)
@pytest.mark.parametrize("stack", KINDS[:1], indirect=True)  # one origin for everything, as for pages
async def test_typescript_kit_chats_and_reconnects(vitest: Path, stack: Stack) -> None:
    setting = f"BACKCHAT_TEST_URL={stack.gateway_urls[0]}"
    command: list[str | Path] = ["env", "NO_COLOR=1", setting, find("node"), vitest, "run", "live"]
    done = await asyncio.to_thread(run, *command, timeout=RUN_TIMEOUT)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{stack.log()[-4000:]}"
    assert "skipped" not in done.stdout, done.stdout

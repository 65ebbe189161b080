"""Schemathesis on the interface description: no server error, nothing undocumented (`FUZZ_EXAMPLES` for a longer run)."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.children import PLAIN_ENVIRONMENT
from tests.support.stack import EmbeddedStack

EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "3")  # noqa: TID251 - the tests' own setting; of each operation and phase
SHORT = EXAMPLES == "3"
SECONDS = 200 if SHORT else 3_600
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "ignored_auth",
)
FORM = {"id": "fuzz", "passcode": "correct horse"}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[EmbeddedStack]:
    """Everything there is, so that nothing has a reason to be `unavailable`."""
    settings = {"LIMITS": "off", "GUESTS": "on", "HASHING_QUEUE": "1000", "ACCESS_TOKEN_TTL": "86400"}
    stack = EmbeddedStack(tmp_path, settings)
    try:
        stack.start_now()
        yield stack
        stack.stop_now()
    finally:
        stack.close()


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("known", [True] if SHORT else [True, False])
def test_what_is_described_is_what_happens(stack: EmbeddedStack, tmp_path: Path, *, known: bool) -> None:
    """By somebody who is logged in (and must not log out), and by nobody."""
    arguments = ["--max-examples", EXAMPLES, "--seed", "1", "--checks", ",".join(CHECKS), "--no-color"]
    if known:
        with httpx2.Client(base_url=stack.auth_url, timeout=20) as client:
            assert client.post("/register", json=FORM).status_code == 201
            token = client.post("/login", json=FORM).json()["access_token"]
        arguments += ["-H", f"Authorization: Bearer {token}", "--exclude-path-regex", "^/logout"]
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{stack.auth_url}/openapi.json", *arguments]
    ended = subprocess.run(
        command, cwd=tmp_path, env=PLAIN_ENVIRONMENT, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    summary = ended.stdout[ended.stdout.find("= SUMMARY =") :]
    print(summary)  # noqa: T201 - how many cases there were
    assert ended.returncode == 0, ended.stdout[-4_000:]
    assert re.search(r"✅ +Stateful", summary), "registering, logging in and refreshing are linked"
    assert int(re.findall(r"(\d+) generated", summary)[0]) > 100

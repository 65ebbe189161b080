"""Schemathesis on the description of the HTTP API: no server error, nothing undocumented (`FUZZ_EXAMPLES`: longer)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.children import PLAIN_ENVIRONMENT
from tests.support.client import new_account
from tests.support.stack import EmbeddedStack, running_stack

EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "3")  # noqa: TID251 - a setting of the tests; of each operation and phase
SECONDS = 200 if EXAMPLES == "3" else 3_600
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "ignored_auth",
)
STREAMS = "/events$"  # they do not end


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[EmbeddedStack]:
    """A complete stack, so that no answer needs to be `unavailable`."""
    with running_stack(EmbeddedStack(tmp_path, {"LIMITS": "off", "ACCESS_TOKEN_TTL": "86400"})) as stack:
        yield stack


@pytest.mark.timeout(SECONDS + 60)
async def test_routes_answer_as_described(stack: EmbeddedStack, tmp_path: Path) -> None:
    """With a token, on a session and a message that exist."""
    account = await new_account(stack.auth_url)
    bearer = {"Authorization": f"Bearer {account.token}"}
    async with httpx2.AsyncClient(base_url=stack.auth_url, headers=bearer, timeout=40) as http:
        session = (await http.post("/v1/sessions", json={"title": "t", "chatbot_ids": ["echo"]})).json()["session"]
        path = f"/v1/sessions/{session['id']}/messages"
        answered = await http.post(path, json={"content": "hello"}, headers={"Prefer": "wait=30"})
        reply = answered.json()["replies"][0]
        ids = f'"path.session_id" = "{session["id"]}"\n"path.message_id" = "{reply["id"]}"\n'
        (tmp_path / "schemathesis.toml").write_text(f"[parameters]\n{ids}")
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{stack.auth_url}/openapi.json"]
        command += ["--max-examples", EXAMPLES, "--seed", "1", "--checks", ",".join(CHECKS), "--no-color"]
        command += ["--include-path-regex", "^/v1/(sessions|invites|search|chatbots)", "--exclude-path-regex", STREAMS]
        command += ["-H", f"Authorization: {bearer['Authorization']}"]
        ended = subprocess.run(  # noqa: ASYNC221 - nothing else runs in this loop
            command,
            cwd=tmp_path,
            env=PLAIN_ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    summary = ended.stdout[ended.stdout.find("= SUMMARY =") :]
    print(summary)  # noqa: T201 - the number of cases
    assert ended.returncode == 0, ended.stdout[-6_000:]
    assert int(re.findall(r"(\d+) generated", summary)[0]) > 300

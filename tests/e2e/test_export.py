"""`python -m backchat_client export` writes a whole session, which it reads by pages."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE

import pytest

from tests.support.children import PLAIN_ENVIRONMENT
from tests.support.client import Account, Device, new_account
from tests.support.stack import ROOT, Stack

MANY = 60  # messages; more than a page
ENDS_WITHIN = 60.0  # seconds; takes two on an idle machine


async def export(stack: Stack, account: Account, session_id: str, *more: str) -> tuple[int, str, str]:
    """Run the export; returns exit code, standard output and standard error."""
    command = (sys.executable, "-m", "backchat_client", "export", stack.auth_url, account.id, session_id, *more)
    process = await asyncio.create_subprocess_exec(
        *command, env=PLAIN_ENVIRONMENT, cwd=ROOT, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(ENDS_WITHIN):
            output, errors = await process.communicate(account.passcode.encode() + b"\n")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, output.decode(), errors.decode()


@pytest.mark.timeout(240)
async def test_export_writes_all_messages_of_a_session(stack: Stack, account: Account) -> None:
    """As JSON and as Markdown, and only for members."""
    if set(stack.gateway_urls) != {stack.auth_url}:
        pytest.skip("the command uses one origin for accounts and chats")
    async with Device(stack.gateway_urls[0], account.token) as device:
        session = await device.start_chat("echo", title="Sixty", reply_policy="silent")
        for number in range(MANY):
            await device.send(session, f"message {number}")
        await device.until_all(lambda: len(device.received("message", session=session)) == MANY, "not all are stored")
        history = await device.history(session)
    code, output, _ = await export(stack, account, session["id"], "--as", "json")
    assert (code, json.loads(output)["messages"]) == (0, history)
    code, output, _ = await export(stack, account, session["id"])
    assert code == 0
    assert output.startswith("# Sixty\n")
    assert [f"\n> message {number}\n" in output for number in range(MANY)] == [True] * MANY
    stranger = await new_account(stack.auth_url)
    code, output, errors = await export(stack, stranger, session["id"])
    assert (code, output) == (1, "")
    assert "not_found" in errors
    assert "Traceback" not in errors

"""`python -m backchat_client export`: a whole session, read page by page, as a file."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE

import pytest

from tests.support.children import PLAIN_ENVIRONMENT
from tests.support.client import Account, Device, new_account
from tests.support.stack import ROOT, Stack

MANY = 60  # messages: more than a page
ENDING = 60.0  # seconds for a program that takes two on an idle machine


async def export(stack: Stack, account: Account, session_id: str, *more: str) -> tuple[int, str, str]:
    """Its exit code, standard output and standard error."""
    command = (sys.executable, "-m", "backchat_client", "export", stack.auth_url, account.id, session_id, *more)
    process = await asyncio.create_subprocess_exec(
        *command, env=PLAIN_ENVIRONMENT, cwd=ROOT, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(ENDING):
            output, errors = await process.communicate(account.passcode.encode() + b"\n")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, output.decode(), errors.decode()


@pytest.mark.timeout(240)
async def test_export_writes_all_messages_of_a_session(stack: Stack, account: Account) -> None:
    """In both forms, for its members alone."""
    if set(stack.gateway_urls) != {stack.auth_url}:
        pytest.skip("it asks one origin, as people do")
    async with Device(stack.gateway_urls[0], account.token) as device:
        session = await device.start_chat("echo", title="Sixty", reply_policy="silent")
        for number in range(MANY):
            await device.send(session, f"message {number}")
        await device.until_all(lambda: len(device.received("message", session=session)) == MANY, "not all are stored")
        history = await device.history(session)
    code, told, _ = await export(stack, account, session["id"], "--as", "json")
    assert (code, json.loads(told)["messages"]) == (0, history)
    code, told, _ = await export(stack, account, session["id"])
    assert code == 0
    assert told.startswith("# Sixty\n")
    assert [f"\nmessage {number}\n" in told for number in range(MANY)] == [True] * MANY
    stranger = await new_account(stack.auth_url)
    code, told, errors = await export(stack, stranger, session["id"])
    assert (code, told) == (1, "")
    assert "not_found" in errors
    assert "Traceback" not in errors

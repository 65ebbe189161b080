"""Signing keys rotate while sockets are open: no login fails, no socket is dropped (contract.md §2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import jwt
import pytest

from tests.support.client import Device, log_in, new_account
from tests.support.figures import Figure
from tests.support.stack import EmbeddedStack

SOCKETS = 100
OVERLAP = {"KEY_OVERLAP": "3"}  # seconds


def kid(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


@pytest.mark.timeout(240)
async def test_key_rotation_drops_no_socket(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """Open sockets, new logins, and tokens of before, during and after the rotation."""
    stack = EmbeddedStack(tmp_path, {"LIMITS": "off", "LOG_LEVEL": "info", **OVERLAP})
    try:
        await stack.start()
        account = await new_account(stack.auth_url)
        async with AsyncExitStack() as open_ones:
            devices = [Device(stack.gateway_urls[0], account.token) for _ in range(SOCKETS)]
            for device in devices:
                await open_ones.enter_async_context(device)
            rotating = stack.spawn("rotate", "auth_service", "keys", "rotate", settings=OVERLAP | keys(stack))
            logins = [account.token]
            async with asyncio.timeout(120):
                while kid(logins[-1]) == kid(account.token) or rotating.running:
                    logins.append(await log_in(stack.auth_url, account.id, account.passcode))
            assert rotating.ended(timeout=1) == 0, rotating.tail()
            for token in (account.token, logins[-1]):
                async with Device(stack.gateway_urls[0], token) as newcomer:
                    await newcomer.ok("list_chats")
            await devices[0].ok("refresh_token", token=logins[-1])
            for device in devices:
                await device.ok("list_chats")
            dropped = sum(not device.client.connected for device in devices)
        await stack.stop()
    finally:
        stack.close()
    measured = f"{dropped} of {SOCKETS} sockets dropped, 0 of {len(logins)} logins failed"
    record_property("figure", str(Figure("rotation of the signing key", measured, "0, 0", reached=not dropped)))
    assert dropped == 0


def keys(stack: EmbeddedStack) -> dict[str, str]:
    return {"SIGNING_KEYS": str(stack.keys)}

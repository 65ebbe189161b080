"""The event budget of a user is shared by all gateways (contract.md §3.2, docs/explanation/security.md)."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.e2e.conftest import DISTRIBUTED
from tests.support.client import Account, Device
from tests.support.stack import Stack
from tests.support.waiting import pause

RATE, BURST = 50, 200  # contract.md §3.2
FOR = 4.0  # seconds
AT_ONCE = 8  # pending events per device


@pytest.mark.parametrize("stack", [DISTRIBUTED], indirect=True)
async def test_two_gateways_share_one_event_budget(stack: Stack, account: Account) -> None:
    """A second gateway grants at most one more burst, not a second budget."""
    granted = 0
    begun = time.monotonic()

    async def spend(device: Device) -> None:
        nonlocal granted
        while time.monotonic() < begun + FOR or granted < BURST:  # a busy machine takes longer for a burst
            ack = await device.call("list_chatbots", {})
            if ack["ok"]:
                granted += 1
            else:
                assert ack["error"]["code"] in ("rate_limited", "unavailable")  # until the gateway knows the chatbots
                await pause(min(0.2, ack["error"]["retry_after"]), "rate limit")

    urls = (stack.gateway_urls[0], stack.gateway_urls[-1])
    async with Device(urls[0], account.token) as first, Device(urls[1], account.token) as second:
        begun = time.monotonic()
        await asyncio.gather(*(spend(device) for device in (first, second) for _ in range(AT_ONCE)))
        took = time.monotonic() - begun
    print(f"{granted} events in {took:.1f} s over two gateways")  # noqa: T201
    assert granted <= 2 * BURST + RATE * (took + 1.0)

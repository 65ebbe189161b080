"""A user's budget of events is one, on however many gateways the devices are (contract §3, docs/explanation/security.md)."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.e2e.conftest import DISTRIBUTED
from tests.support.client import Account, Device
from tests.support.stack import Stack

RATE, BURST = 50, 200  # contract §3
FOR = 4.0  # seconds
AT_ONCE = 8  # events of a device under way


@pytest.mark.parametrize("stack", [DISTRIBUTED], indirect=True)
async def test_two_gateways_share_one_event_budget(stack: Stack, account: Account) -> None:
    """The second gateway grants one burst and half a second more, once: not its own budget."""
    granted = 0
    begun = time.monotonic()

    async def insist(device: Device) -> None:
        nonlocal granted
        while time.monotonic() < begun + FOR or granted < BURST:  # a busy machine takes longer to be granted a burst
            ack = await device.call("list_chatbots", {})
            if ack["ok"]:
                granted += 1
            else:
                assert ack["error"]["code"] in ("rate_limited", "unavailable")  # until the first list is announced
                await asyncio.sleep(min(0.2, ack["error"]["retry_after"]))

    urls = (stack.gateway_urls[0], stack.gateway_urls[-1])
    async with Device(urls[0], account.token) as first, Device(urls[1], account.token) as second:
        begun = time.monotonic()
        await asyncio.gather(*(insist(device) for device in (first, second) for _ in range(AT_ONCE)))
        took = time.monotonic() - begun
    print(f"{granted} events in {took:.1f} s over two gateways")  # noqa: T201
    assert granted <= 2 * BURST + RATE * (took + 1.0)

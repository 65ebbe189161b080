"""Waits for the broker on behalf of a command."""

from __future__ import annotations

import asyncio

from shared.bus.port import Bus

CONNECT_TIMEOUT = 10.0  # seconds
POLL_INTERVAL = 0.02  # seconds


async def wait_until_connected(bus: Bus) -> None:
    """Wait until the bus is connected.

    Raises:
        TimeoutError: it is not connected within `CONNECT_TIMEOUT`.
    """
    async with asyncio.timeout(CONNECT_TIMEOUT):
        while not bus.connected:  # noqa: ASYNC110 - the port has no event for it
            await asyncio.sleep(POLL_INTERVAL)

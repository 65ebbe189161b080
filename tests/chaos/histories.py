"""Reading every session after the run, as its user would, through another gateway than the one it was written over."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import Any

from tests.chaos.checker import History
from tests.support.client import Device, Refused

AT_ONCE = 4  # users who read at the same time
PAGE = 200  # messages
TRIES = 20  # a read says `unavailable` while something is still coming back


async def read_all(sessions: Iterable[tuple[str, str, str]]) -> dict[str, History]:
    """The history of each (session, token, gateway address)."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(session: str, token: str, url: str) -> tuple[str, History | None]:
        async with gate, _connected(url, token) as device:
            return session, await _read(device, session)

    found = await asyncio.gather(*(one(*each) for each in sessions))
    return {session: history for session, history in found if history is not None}


@contextlib.asynccontextmanager
async def _connected(url: str, token: str) -> AsyncIterator[Device]:
    """A connection; a gateway that is just coming back may refuse some."""
    for _ in range(TRIES):
        device = Device(url, token)
        try:
            await device.__aenter__()
        except Refused:
            await asyncio.sleep(0.5)
            continue
        try:
            yield device
        finally:
            await device.__aexit__(None, None, None)
        return
    raise RuntimeError(f"{url} goes on refusing connections")


async def _read(device: Device, session: str) -> History | None:
    joined: list[Any] = []
    last_seq, more = 0, True
    while more:
        ack = await _call(device, "join_chat", session_id=session, after_seq=last_seq, limit=PAGE)
        if ack is None:
            return None
        joined += ack["messages"]
        last_seq, more = ack["last_seq"], ack["has_more"]
    pages: list[Any] = []
    more = True
    while more:
        after = pages[-1]["seq"] if pages else 0
        ack = await _call(device, "get_messages", session_id=session, after_seq=after, limit=PAGE)
        if ack is None:
            return None
        pages += ack["messages"]
        more = ack["has_more"]
    return History(pages, joined, last_seq)


async def _call(device: Device, event: str, **payload: Any) -> dict[str, Any] | None:
    """The ack; None where the session is not there."""
    for _ in range(TRIES):
        ack = await device.call(event, payload)
        if ack["ok"]:
            return ack
        if ack["error"]["code"] == "not_found":
            return None
        await asyncio.sleep(0.5)
    raise RuntimeError(f"{event} goes on saying {ack['error']}")

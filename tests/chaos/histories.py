"""Read every session after the run with the token of its user, through another gateway than the sends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import Any

from tests.chaos.checker import History
from tests.support.client import Device, Refused
from tests.support.waiting import until

AT_ONCE = 4  # sessions read at the same time
PAGE = 200  # messages
PATIENCE = 20.0  # seconds in which a gateway may be `unavailable`
RETRY = 0.5  # seconds between two attempts


async def read_all(sessions: Iterable[tuple[str, str, str]]) -> dict[str, History]:
    """Read the history of each (session, token, gateway address)."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(session: str, token: str, url: str) -> tuple[str, History | None]:
        async with gate, _connected(url, token) as device:
            return session, await _read(device, session)

    found = await asyncio.gather(*(one(*each) for each in sessions))
    return {session: history for session, history in found if history is not None}


@contextlib.asynccontextmanager
async def _connected(url: str, token: str) -> AsyncIterator[Device]:
    """Connect, with retries while a gateway refuses connections after its start."""

    async def connect() -> Device:
        device = Device(url, token)
        try:
            return await device.__aenter__()
        except Refused as refusal:
            raise AssertionError(f"{url} refuses connections: {refusal}") from refusal

    device = await until(connect, PATIENCE, every=RETRY)
    try:
        yield device
    finally:
        await device.leave()


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
    """Return the ack, with retries after other errors; None if the session does not exist."""

    async def answer() -> dict[str, Any]:
        ack = await device.call(event, payload)
        assert ack["ok"] or ack["error"]["code"] == "not_found", f"{event}: {ack['error']}"
        return ack

    ack = await until(answer, PATIENCE, every=RETRY)
    return ack if ack["ok"] else None

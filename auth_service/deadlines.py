"""One deadline for a whole request, however many steps it takes (contract P7: `unavailable` within 6 s)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from shared.errors import Unavailable

REQUEST_DEADLINE = 5.0  # seconds
RETRY_AFTER = 2.0  # seconds

_latest: ContextVar[float] = ContextVar("latest")


@asynccontextmanager
async def deadline(seconds: float = REQUEST_DEADLINE) -> AsyncIterator[None]:
    """Answer in time.

    Raises:
        Unavailable: the block took too long. Work that it had handed over (a hash, a transaction) is not cut off.
    """
    moment = asyncio.get_running_loop().time() + seconds
    token = _latest.set(moment)
    try:
        async with asyncio.timeout_at(moment):
            yield
    except TimeoutError:
        raise Unavailable("This takes too long just now.", retry_after=RETRY_AFTER) from None
    finally:
        _latest.reset(token)


def latest() -> float:
    """When nothing more may be begun (the loop's clock): the request's deadline, also inside tasks that it started."""
    return _latest.get(asyncio.get_running_loop().time() + REQUEST_DEADLINE)

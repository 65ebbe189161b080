"""The deadline of a request, shared by all of its steps (contract P7: `unavailable` within 6 s)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from shared.errors import Unavailable

REQUEST_DEADLINE = 5.0  # seconds
RETRY_AFTER = 2.0  # seconds

_deadline: ContextVar[float] = ContextVar("deadline")


@asynccontextmanager
async def deadline(seconds: float = REQUEST_DEADLINE) -> AsyncIterator[None]:
    """Limit the duration of a block.

    Raises:
        Unavailable: the block took too long. Work that runs outside of it (a hash, a transaction) is not cancelled.
    """
    moment = asyncio.get_running_loop().time() + seconds
    token = _deadline.set(moment)
    try:
        async with asyncio.timeout_at(moment):
            yield
    except TimeoutError:
        raise Unavailable("The request took too long.", retry_after=RETRY_AFTER) from None
    finally:
        _deadline.reset(token)


def current_deadline() -> float:
    """Return the request's deadline in the loop's time; it is inherited by tasks that the request starts."""
    return _deadline.get(asyncio.get_running_loop().time() + REQUEST_DEADLINE)

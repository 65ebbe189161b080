"""Token expiry: a socket stays open until its newest token expires (contract.md §3.1)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from chat_gateway.identity.authentication import Identity
from chat_gateway.sockets.recipients import ConnectedClient
from chat_gateway.transport import frames
from shared.contracts.payload import rfc3339

WARN_BEFORE = 60.0  # seconds, or half the token's lifetime if that is shorter
TIMER_MAX = 3_600.0  # seconds of one timer, and thus its maximum delay after the clock was set


def watch(socket: ConnectedClient, expire: Callable[[ConnectedClient], None]) -> None:
    """Warn the client before its token expires, and call `expire` when it has, unless `watch` is called again."""
    forget(socket)
    identity = socket.identity
    socket.valid_until = time.monotonic() + identity.expires_at - time.time()
    _at(identity.expires_at - min(WARN_BEFORE, identity.lifetime / 2), socket, partial(_warn, expire))


def forget(socket: ConnectedClient) -> None:
    """Cancel the timer of a socket."""
    if socket.expiry is not None:
        socket.expiry.cancel()
        socket.expiry = None


def expires_at(identity: Identity) -> str:
    """Return the expiry of a token as clients receive it."""
    return rfc3339(datetime.fromtimestamp(identity.expires_at, UTC))


def _at(moment: float, socket: ConnectedClient, act: Callable[[ConnectedClient], None]) -> None:
    """Call `act` at `moment` (seconds since 1970), by a clock that may be set before then."""
    left = moment - time.time()
    if left <= 0:
        socket.expiry = None
        act(socket)
    else:
        loop = asyncio.get_running_loop()
        socket.expiry = loop.call_later(min(left, TIMER_MAX), _at, moment, socket, act)


def _warn(expire: Callable[[ConnectedClient], None], socket: ConnectedClient) -> None:
    socket.send(frames.event("token_expiring", {"expires_at": expires_at(socket.identity)}))
    _at(socket.identity.expires_at, socket, expire)

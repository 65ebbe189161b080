"""Keeps one connection open until cancelled: gets tokens, tries the gateways in turn, backs off with jitter."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from backchat_client.errors import BackchatClientError, NotSignedIn, Refused
from backchat_client.state.backoff import reconnect_delay
from backchat_client.transport.accounts import TokenSource
from backchat_client.transport.connection import Answered, Connection
from backchat_client.wire import Payload, seconds

STABLE_AFTER = 5.0  # seconds; a connection that lasted longer than this does not count as a failure
TOKEN_REFUSED = frozenset({"unauthenticated", "token_expired"})

logger = logging.getLogger(__name__)


class Link:
    """Calls `on_connected` and `on_lost` alternately, and `on_event` in between."""

    def __init__(
        self,
        urls: Sequence[str],
        token: TokenSource,
        *,
        random: Callable[[], float],
        on_connected: Callable[[Payload], None],
        on_lost: Callable[[], None],
        on_event: Callable[[str, Payload], None],
    ) -> None:
        self._urls = list(urls)
        self._turn = int(random() * len(self._urls))  # a random start spreads clients that start together
        self._token = token
        self._random = random
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._on_event = on_event
        self._connection: Connection | None = None
        self._renew = False
        self._retry_after = 0.0
        self._side_tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str | None:
        """The gateway of the current connection."""
        return self._connection.url if self._connection else None

    def emit(self, event: str, payload: Payload, answered: Answered) -> None:
        """Send an event on the current connection; without one, do nothing."""
        if self._connection:
            self._connection.emit(event, payload, answered)

    async def run(self) -> None:
        """Stay connected until cancelled.

        Raises:
            NotSignedIn: the account is not accepted.
        """
        failures = 0
        try:
            while True:
                began = asyncio.get_running_loop().time()
                refused = await self._run_connection()
                if asyncio.get_running_loop().time() - began > STABLE_AFTER:
                    failures = 0
                if refused in TOKEN_REFUSED and not self._renew:
                    self._renew = True  # without a pause, on the same gateway, with a new token
                    continue
                self._turn += 1
                pause = reconnect_delay(failures, self._retry_after, self._random())
                failures += 1
                self._retry_after = 0.0
                await asyncio.sleep(pause)
        finally:
            await self._close()

    async def _run_connection(self) -> str | None:
        """Run one connection from beginning to end; return the code if it was refused."""
        connection: Connection | None = None
        try:
            token = await self._token(renew=self._renew)
            url = self._urls[self._turn % len(self._urls)]
            connection = Connection(url, on_event=self._event_received, on_lost=self._connection_lost)
            ready = await connection.open(token)
        except NotSignedIn:
            raise
        except Refused as error:
            logger.info("connection.refused code=%s", error.code)
            self._retry_after = error.retry_after or 0.0
            return error.code
        except BackchatClientError as error:
            logger.info("connection.failed error=%s", error)
            return None
        self._renew = False
        self._connection = connection
        self._on_connected(ready)
        await connection.lost()
        return None

    def _connection_lost(self, connection: Connection) -> None:
        if connection is self._connection:  # else it never became ready
            self._start(connection.close())
            self._connection = None
            self._on_lost()

    def _event_received(self, name: str, payload: Payload) -> None:
        if name == "going_away":
            self._retry_after = seconds(payload.get("retry_after"))
        elif name == "auth_expired":
            self._renew = True
        elif name == "token_expiring":
            self._start(self._refresh())
        self._on_event(name, payload)

    async def _refresh(self) -> None:
        """Send a new token to the server. If that fails, the server closes the socket and the next one gets it."""
        try:
            token = await self._token(renew=True)
        except BackchatClientError as error:
            logger.info("token_refresh.failed error=%s", error)
            return
        self.emit("refresh_token", {"token": token}, lambda _answer: None)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._side_tasks.add(task)
        task.add_done_callback(self._side_tasks.discard)

    async def _close(self) -> None:
        if self._connection:
            self._connection.drop()
        await asyncio.gather(*self._side_tasks, return_exceptions=True)

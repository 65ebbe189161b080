"""The client of one user. Guide: `docs/how-to/write-a-client.md`."""

from __future__ import annotations

import asyncio
import logging
import random as random_numbers
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from backchat_client.actions import PATIENCE, Actions
from backchat_client.errors import BackchatClientError, Closed, NotSignedIn, Refused, Unknown
from backchat_client.events import Events, Listener, Subscribers
from backchat_client.notices import Notice
from backchat_client.sending import Sending, Sendings
from backchat_client.state.core import Core
from backchat_client.state.outbox import Outgoing
from backchat_client.state.session import SessionState
from backchat_client.store import MemoryStore, Store
from backchat_client.transport.accounts import Accounts, Login, TokenSource
from backchat_client.transport.link import Link
from backchat_client.waiters import Waiters
from backchat_client.wire import Payload, outcome

logger = logging.getLogger(__name__)


class BackchatClient(Actions):
    """A client that stays connected while its `async with` block runs.

    Methods that need the server wait for it up to `timeout` seconds and then raise `TimeoutError`; a change that they
    requested may still be applied. A client belongs to one event loop.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        user_id: str = "",
        passcode: str = "",
        auth_url: str | None = None,
        gateway_urls: Sequence[str] = (),
        token: TokenSource | None = None,
        store: Store | None = None,
        random: Callable[[], float] = random_numbers.random,
    ) -> None:
        """Create the client without connecting.

        Args:
            url: the server's origin. Alternatively give both `auth_url` and `gateway_urls` (tried in turn).
            user_id: the account, for login with `passcode`; not needed with `token`.
            passcode: its passcode.
            auth_url: origin of `/register` and `/login`, if not `url`.
            gateway_urls: origins of Socket.IO, if not `url`.
            token: source of access tokens, instead of a login.
            store: keeps unaccepted messages across restarts; by default they are lost with the process. The client
                closes it.
            random: returns numbers from 0 up to 1.

        Raises:
            ValueError: an address is missing.
        """
        urls = list(gateway_urls) or ([url] if url else [])
        if not urls or not (auth_url or url):
            raise ValueError("pass url, or both auth_url and gateway_urls")
        self.random = random
        self._user_id, self._passcode = user_id, passcode
        self._accounts = Accounts(auth_url or url or "")
        self._store = store or MemoryStore()
        self._core = Core(self._store.load(), random)
        self._link = Link(
            urls,
            token or Login(self._accounts, user_id, passcode),
            random=random,
            on_connected=self._connected,
            on_lost=self._disconnected,
            on_event=self._on_event,
        )
        self._waiters = Waiters()
        self._sendings = Sendings()
        self._subscribers = Subscribers()
        self._subscribers.listen(self._apply)  # registered first: other listeners see the state already updated
        self._timer: asyncio.TimerHandle | None = None
        self._running: asyncio.Task[None] | None = None
        self._adding = asyncio.Lock()
        self._stopped: BackchatClientError | None = None

    # ---- lifecycle

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def start(self) -> None:
        """Start to connect in the background."""
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="backchat-client")

    async def close(self) -> None:
        """Disconnect and fail all pending calls with `Closed`; unaccepted messages stay in the store."""
        self._stop(Closed())
        if self._running:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running
        self._subscribers.close()
        await self._accounts.close()
        async with self._adding:
            self._store.close()

    async def register(self) -> Payload:
        """Create the account (`Accounts.register`). Call this before the client is started."""
        if self._running:
            raise RuntimeError("call register() before start() and before `async with`, which log in")
        return await self._accounts.register(self._user_id, self._passcode)

    # ---- state

    @property
    def user_id(self) -> str:
        """The account's id; once connected, as the server spells it."""
        return self._core.user_id or self._user_id

    @property
    def sessions(self) -> dict[str, SessionState]:
        """The open sessions by id, kept up to date."""
        return dict(self._core.sessions)

    @property
    def gateway(self) -> str | None:
        """The address of the gateway that the client is connected to."""
        return self._link.url

    @property
    def unsettled(self) -> list[Outgoing]:
        """The outbox: messages not known to be accepted, in the order of `send`."""
        return list(self._core.outbox)

    def events(self) -> Events:
        """Return an async iterator over all notices from now on."""
        return self._subscribers.stream()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` synchronously with every notice, in order; return a function that unregisters it."""
        return self._subscribers.listen(listener)

    # ---- requests

    async def start_chat(
        self,
        title: str | None = None,
        *,
        chatbot_ids: Sequence[str] | None = None,
        reply_policy: str | None = None,
        client_request_id: str | None = None,
        timeout: float = PATIENCE,
    ) -> SessionState:
        """Start a session and open it. The same `client_request_id` returns the same session.

        Raises:
            Refused: the server refused the request.
            TimeoutError, Closed, NotSignedIn: the outcome is unknown; repeat with the same `client_request_id`.
        """
        request_id = client_request_id or str(uuid4())
        given = {
            "title": title,
            "chatbot_ids": list(chatbot_ids) if chatbot_ids is not None else None,
            "reply_policy": reply_policy,
        }
        payload = {key: value for key, value in given.items() if value is not None}
        waiting = self._waiters.wait(("started", request_id), unless=self._stopped)
        self._core.start_chat({**payload, "client_request_id": request_id})
        self._flush()
        started: Notice = await asyncio.wait_for(waiting, timeout)
        return await self.open(started.payload["session_id"], timeout=timeout)

    async def open(self, session_id: str, *, timeout: float = PATIENCE) -> SessionState:
        """Open a session and follow it on this and every later connection; return once it is loaded.

        Raises:
            Refused: `not_found`: the user has no such session.
            TimeoutError: it is not loaded yet. It stays open.
        """
        state = self._core.open(session_id)
        if state.cursor is None:
            waiting = self._waiters.wait(("loaded", session_id), unless=self._stopped)
            self._flush()
            await asyncio.wait_for(waiting, timeout)
        return state

    def leave(self, session_id: str) -> None:
        """Stop following a session. Membership stays."""
        self._core.leave(session_id)
        self._flush()

    async def older(self, session_id: str, *, timeout: float = PATIENCE) -> SessionState:
        """Load the previous page of history, if there is one."""
        state = self._core.sessions[session_id]
        if state.has_older:
            waiting = self._waiters.wait(("loaded", session_id), unless=self._stopped)
            self._core.older(session_id)
            self._flush()
            await asyncio.wait_for(waiting, timeout)
        return state

    async def send(
        self, session_id: str, content: str, *, reply_to: str | None = None, client_message_id: str | None = None
    ) -> Sending:
        """Add a message to the outbox and store it; the client sends it until its outcome is known.

        `await sending.accepted()` and `await sending.stored()` wait for the outcome. Messages of a session are sent one
        at a time, in the order of these calls.
        """
        item = Outgoing(session_id, client_message_id or str(uuid4()), content, reply_to)
        # Shielded: even if the caller is cancelled, a message in the store must also reach the core.
        return await asyncio.shield(asyncio.ensure_future(self._send(item)))

    async def call(self, event: str, payload: Payload | None = None, *, timeout: float = PATIENCE) -> Payload:
        """Send any client event once, as soon as there is a connection, and return its ack.

        Raises:
            Refused: the ack is an error.
            Unknown: no ack arrived. Every event may be repeated.
            TimeoutError: there was no connection.
        """
        async with asyncio.timeout(timeout):
            await self.wait_connected()
            waiting = self._waiters.wait(("call", str(uuid4())), unless=self._stopped)

            def answered(answer: Any) -> None:
                if not waiting.done():
                    waiting.set_result(answer)

            self._link.emit(event, payload or {}, answered)
            answer = await waiting
        if not isinstance(answer, dict):
            raise Unknown(event)
        result = outcome(answer)
        if result.code:
            raise Refused(result.code, result.message, retry_after=result.retry_after or None)
        return answer

    async def wait_connected(self) -> None:
        """Wait for a connection. Optional: every method waits for one itself."""
        if not self._core.connected:
            await self._waiters.wait(("connected", ""), unless=self._stopped)

    # ---- internals

    async def _send(self, item: Outgoing) -> Sending:
        async with self._adding:  # serialises calls, so that the store's order is the order of sending
            if self._stopped:
                raise self._stopped
            await self._store.add(item)
            sending = self._sendings.begin(item.session_id, item.client_message_id)
            self._core.send(item)
            self._flush()
            return sending

    async def _run(self) -> None:
        try:
            await self._link.run()
        except NotSignedIn as error:
            self._stop(error)
            self._subscribers.publish([Notice("stopped", {"code": error.code})])

    def _stop(self, error: BackchatClientError) -> None:
        self._stopped = self._stopped or error
        if self._timer:
            self._timer.cancel()
        self._waiters.fail(error)
        self._sendings.fail(error)

    def _connected(self, ready: Payload) -> None:
        self._core.connect(ready["user_id"])
        self._subscribers.publish([Notice("connected", {})])
        self._flush()

    def _disconnected(self) -> None:
        self._core.disconnect()
        self._waiters.fail(Unknown("the connection was lost"), kind="call")
        self._subscribers.publish([Notice("disconnected", {})])
        self._flush()

    def _on_event(self, name: str, payload: Payload) -> None:
        try:
            self._core.event(name, payload)
        except (KeyError, TypeError, ValueError):
            logger.warning("event.ignored name=%.40r reason=not_in_contract", name)
        self._flush()

    def _answered(self, call_id: int, answer: Any) -> None:
        self._core.answered(call_id, answer, asyncio.get_running_loop().time())
        self._flush()

    def _tick(self) -> None:
        self._core.tick(asyncio.get_running_loop().time())
        self._flush()

    def _flush(self) -> None:
        """Emit the core's calls, publish its notices, and set the timer for its next retry."""
        for call in self._core.calls():
            self._link.emit(call.event, call.payload, partial(self._answered, call.id))
        self._subscribers.publish(self._core.notices())
        if self._timer:
            self._timer.cancel()
        due = self._core.wake_at
        self._timer = asyncio.get_running_loop().call_at(due, self._tick) if due is not None else None

    def _apply(self, notice: Notice) -> None:
        if notice.name in ("accepted", "failed") and "client_message_id" in notice.payload:
            self._store.remove(notice.payload["session_id"], notice.payload["client_message_id"])
        self._sendings.apply(notice, self._core.user_id)
        self._waiters.apply(notice)

"""A user's client: see `docs/how-to/write-a-client.md`."""

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
from backchat_client.events import Audience, Events, Listener
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
    """An async context manager: inside the block it keeps itself connected, for ever.

    Methods that need the server wait until it is there, up to `timeout` seconds, and raise `TimeoutError` then; what
    they asked for goes on. All of it belongs to one event loop.
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
        """Connect nothing yet.

        Args:
            url: the one origin; or both of `auth_url` and `gateway_urls` (tried in turn).
            user_id: the account, for login with `passcode`; not needed with `token`.
            passcode: its passcode.
            auth_url: where `/register` and `/login` are, if not `url`.
            gateway_urls: where Socket.IO is, if not `url`.
            token: where access tokens come from, in place of the login.
            store: where unsettled messages outlive the process; by default they do not. The client closes it.
            random: numbers from 0 up to 1.

        Raises:
            ValueError: an address is missing.
        """
        urls = list(gateway_urls) or ([url] if url else [])
        if not urls or not (auth_url or url):
            raise ValueError("give url, or auth_url and gateway_urls")
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
            on_event=self._arrived,
        )
        self._waiters = Waiters()
        self._sendings = Sendings()
        self._audience = Audience()
        self._audience.listen(self._settle)  # first of all: the program is told of what is so already
        self._timer: asyncio.TimerHandle | None = None
        self._running: asyncio.Task[None] | None = None
        self._adding = asyncio.Lock()
        self._stopped: BackchatClientError | None = None

    # ---- life

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def start(self) -> None:
        """Begin to connect."""
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="backchat-client")

    async def close(self) -> None:
        """Disconnect and end everything that waits; what is unsettled stays in the store."""
        self._stop(Closed())
        if self._running:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running
        self._audience.close()
        await self._accounts.close()
        async with self._adding:
            self._store.close()

    async def register(self) -> Payload:
        """Make the account, before the client is started: see `Accounts.register`."""
        if self._running:
            raise RuntimeError("register() belongs before start() and `async with`: it logs in from there on")
        return await self._accounts.register(self._user_id, self._passcode)

    # ---- what is known

    @property
    def user_id(self) -> str:
        """The account, as the server names it once there was a connection."""
        return self._core.user_id or self._user_id

    @property
    def sessions(self) -> dict[str, SessionState]:
        """The open sessions by id, kept up to date."""
        return dict(self._core.sessions)

    @property
    def gateway(self) -> str | None:
        """The address of the gateway it is connected to just now."""
        return self._link.url

    @property
    def unsettled(self) -> list[Outgoing]:
        """The outbox: messages that are not known to be accepted yet, in the order sent."""
        return list(self._core.outbox)

    def events(self) -> Events:
        """All notices from now on, as an async iterator."""
        return self._audience.stream()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every notice, at once and in order; returns what ends it."""
        return self._audience.listen(listener)

    # ---- what is wanted

    async def start_chat(
        self,
        title: str | None = None,
        *,
        chatbot_ids: Sequence[str] | None = None,
        reply_policy: str | None = None,
        client_request_id: str | None = None,
        timeout: float = PATIENCE,
    ) -> SessionState:
        """A new session, open; with the same `client_request_id` again: the same session.

        Raises:
            Refused: the server will not have it.
            TimeoutError, Closed, NotSignedIn: it may have been made; ask with the same `client_request_id`.
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
        """Hold and follow a session, over every connection to come; returns when it is loaded.

        Raises:
            Refused: `not_found`: there is no such session for this user.
            TimeoutError: not loaded yet; it stays open.
        """
        state = self._core.open(session_id)
        if state.cursor is None:
            waiting = self._waiters.wait(("loaded", session_id), unless=self._stopped)
            self._flush()
            await asyncio.wait_for(waiting, timeout)
        return state

    def leave(self, session_id: str) -> None:
        """Follow it no longer (membership stays)."""
        self._core.leave(session_id)
        self._flush()

    async def older(self, session_id: str, *, timeout: float = PATIENCE) -> SessionState:
        """Load the page of history before what is held, if there is one."""
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
        """Put a message into the outbox; it is in the store on return, and will be sent until its outcome is known.

        `await sending.accepted()` and `await sending.stored()` tell what became of it. Messages of a session are sent
        one after the other, in the order of these calls.
        """
        item = Outgoing(session_id, client_message_id or str(uuid4()), content, reply_to)
        # Shielded: a message in the store must be in the core as well, whether somebody still waits for this or not.
        return await asyncio.shield(asyncio.ensure_future(self._send(item)))

    async def call(self, event: str, payload: Payload | None = None, *, timeout: float = PATIENCE) -> Payload:
        """Any other client event, once, as soon as there is a connection; its ack.

        Raises:
            Refused: the ack is an error.
            Unknown: no ack came. Every event may be sent again.
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
        """Wait for a connection; without it nothing else is needed, as all methods wait by themselves."""
        if not self._core.connected:
            await self._waiters.wait(("connected", ""), unless=self._stopped)

    # ---- what happens

    async def _send(self, item: Outgoing) -> Sending:
        async with self._adding:  # first come, first served: the store's order is the order of sending
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
            self._audience.tell([Notice("stopped", {"code": error.code})])

    def _stop(self, error: BackchatClientError) -> None:
        self._stopped = self._stopped or error
        if self._timer:
            self._timer.cancel()
        self._waiters.fail(error)
        self._sendings.fail(error)

    def _connected(self, ready: Payload) -> None:
        self._core.connect(ready["user_id"])
        self._audience.tell([Notice("connected", {})])
        self._flush()

    def _disconnected(self) -> None:
        self._core.disconnect()
        self._waiters.fail(Unknown("the connection was lost"), kind="call")
        self._audience.tell([Notice("disconnected", {})])
        self._flush()

    def _arrived(self, name: str, payload: Payload) -> None:
        try:
            self._core.event(name, payload)
        except (KeyError, TypeError, ValueError):
            logger.warning("an event %.40r that is not of the contract was ignored", name)
        self._flush()

    def _answered(self, call_id: int, answer: Any) -> None:
        self._core.answered(call_id, answer, asyncio.get_running_loop().time())
        self._flush()

    def _woken(self) -> None:
        self._core.tick(asyncio.get_running_loop().time())
        self._flush()

    def _flush(self) -> None:
        """Carry out what the core wants."""
        for call in self._core.calls():
            self._link.emit(call.event, call.payload, partial(self._answered, call.id))
        self._audience.tell(self._core.notices())
        if self._timer:
            self._timer.cancel()
        due = self._core.wake_at
        self._timer = asyncio.get_running_loop().call_at(due, self._woken) if due is not None else None

    def _settle(self, notice: Notice) -> None:
        if notice.name in ("accepted", "failed") and "client_message_id" in notice.payload:
            self._store.remove(notice.payload["session_id"], notice.payload["client_message_id"])
        self._sendings.see(notice, self._core.user_id)
        self._waiters.see(notice)

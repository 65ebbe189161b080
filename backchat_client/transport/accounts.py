"""Accounts and access tokens over HTTP (contract.md §1)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol, TypedDict

import httpx2

from backchat_client.errors import NotSignedIn, Refused, Unknown
from backchat_client.wire import Payload, seconds

HTTP_TIMEOUT = 10.0  # seconds for one request
RENEW_BEFORE = 30.0  # seconds before its expiry from which a token is not used any more
TEMPORARY = frozenset({"rate_limited", "unavailable"})  # codes of refusals after which a later attempt may succeed


class Grant(TypedDict):
    """The answer to a login. Times are in seconds."""

    access_token: str
    token_type: str
    expires_in: float
    refresh_token: str
    refresh_expires_in: float


class TokenSource(Protocol):
    """Where the client gets its access tokens. Raises `NotSignedIn` if it will never have one."""

    async def __call__(self, *, renew: bool) -> str:
        """Return a valid token; with `renew` a new one, because the last one was refused or is about to expire."""


class Accounts:
    """The account routes of one origin."""

    def __init__(self, auth_url: str, *, timeout: float = HTTP_TIMEOUT) -> None:
        self._http = httpx2.AsyncClient(base_url=auth_url, timeout=timeout)

    async def register(self, user_id: str, passcode: str) -> Payload:
        """Create an account: `{id, created_at}`.

        Raises:
            Refused: `user_exists`, `weak_passcode`, `invalid_request`, `rate_limited`, `unavailable`.
            Unknown: no answer arrived. `user_exists` on the next attempt may mean that this one succeeded.
        """
        return await self._post("/register", {"id": user_id, "passcode": passcode})

    async def login(self, user_id: str, passcode: str) -> Grant:
        """Log in.

        Raises:
            Refused: `invalid_credentials`, `rate_limited`, `unavailable`, `invalid_request`.
            Unknown: no answer arrived.
        """
        grant: Any = await self._post("/login", {"id": user_id, "passcode": passcode})
        return grant  # type: ignore[no-any-return]

    async def refresh(self, refresh_token: str) -> Grant:
        """Exchange a refresh token for new tokens. It works once; within 10 s it may be sent again.

        Raises:
            Refused: `token_invalid`, `token_expired`: the login has ended; `rate_limited`, `unavailable`.
            Unknown: no answer arrived.
        """
        grant: Any = await self._post("/refresh", {"refresh_token": refresh_token})
        return grant  # type: ignore[no-any-return]

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _post(self, path: str, body: Payload) -> Payload:
        try:
            answer = await self._http.post(path, json=body)
            found: Any = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise Unknown(f"POST {path}: {type(error).__name__}") from error
        if answer.is_success and isinstance(found, dict):
            return found
        problem = found if isinstance(found, dict) else {}
        code = str(problem.get("code", "unavailable"))
        retry_after = seconds(_number(answer.headers.get("Retry-After"))) or None
        raise Refused(code, str(problem.get("detail", "")), retry_after=retry_after)


class Login:
    """A `TokenSource` that logs in with a passcode and then refreshes that login until it ends."""

    def __init__(
        self, accounts: Accounts, user_id: str, passcode: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._accounts = accounts
        self._user_id = user_id
        self._passcode = passcode
        self._clock = clock
        self._token = ""
        self._good_until = 0.0
        self._refresh_token: str | None = None
        self._turn = asyncio.Lock()

    async def __call__(self, *, renew: bool) -> str:
        """Return the last token if it is still valid, else one of the same login or of a new login.

        Raises:
            NotSignedIn: the server does not accept the account.
            Refused: temporarily (`rate_limited`, `unavailable`).
            Unknown: no answer arrived.
        """
        last = self._token
        async with self._turn:
            if self._token and self._clock() < self._good_until and not (renew and self._token == last):
                return self._token
            grant = await self._refresh_login() or await self._new_login()
            self._token, self._refresh_token = grant["access_token"], grant.get("refresh_token")
            self._good_until = self._clock() + max(grant["expires_in"] - RENEW_BEFORE, grant["expires_in"] / 2)
            return self._token

    async def _refresh_login(self) -> Grant | None:
        """Refresh the login; None if there is none or it has ended."""
        if self._refresh_token is None:
            return None
        try:
            return await self._accounts.refresh(self._refresh_token)
        except Refused as error:
            if error.code in TEMPORARY:
                raise
            self._refresh_token = None
            return None

    async def _new_login(self) -> Grant:
        try:
            return await self._accounts.login(self._user_id, self._passcode)
        except Refused as error:
            if error.code in TEMPORARY:
                raise
            raise NotSignedIn(error.code, error.detail) from error


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None

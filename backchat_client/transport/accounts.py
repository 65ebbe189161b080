"""Accounts and access tokens over HTTP (contract §1)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol, TypedDict

import httpx2

from backchat_client.errors import NotSignedIn, Refused, Unknown
from backchat_client.wire import Payload, seconds

HTTP_TIMEOUT = 10.0  # seconds for one request
RENEW_BEFORE = 30.0  # seconds before its expiry a token is not handed out any more
PASSING = frozenset({"rate_limited", "unavailable"})  # refusals that a later try may overcome


class Grant(TypedDict):
    """What a login gives; the times are in seconds."""

    access_token: str
    token_type: str
    expires_in: float
    refresh_token: str
    refresh_expires_in: float


class TokenSource(Protocol):
    """Where the client gets its access token. Raise `NotSignedIn` when there is no hope of one."""

    async def __call__(self, *, renew: bool) -> str:
        """A token that is good now; with `renew` not the last one, which was refused or is about to expire."""


class Accounts:
    """The account routes of one origin."""

    def __init__(self, auth_url: str, *, timeout: float = HTTP_TIMEOUT) -> None:
        self._http = httpx2.AsyncClient(base_url=auth_url, timeout=timeout)

    async def register(self, user_id: str, passcode: str) -> Payload:
        """Make an account: `{id, created_at}`.

        Raises:
            Refused: `user_exists`, `weak_passcode`, `invalid_request`, `rate_limited`, `unavailable`.
            Unknown: no answer came; `user_exists` to a second try may then mean that the first one did it.
        """
        return await self._post("/register", {"id": user_id, "passcode": passcode})

    async def login(self, user_id: str, passcode: str) -> Grant:
        """Log in.

        Raises:
            Refused: `invalid_credentials`, `rate_limited`, `unavailable`, `invalid_request`.
            Unknown: no answer came.
        """
        grant: Any = await self._post("/login", {"id": user_id, "passcode": passcode})
        return grant  # type: ignore[no-any-return]

    async def refresh(self, refresh_token: str) -> Grant:
        """Go on with a login; the token is used up. As long as no answer came, it may be shown again for 10 s.

        Raises:
            Refused: `token_invalid`, `token_expired`: the login has ended; `rate_limited`, `unavailable`.
            Unknown: no answer came.
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
    """A `TokenSource` that logs in with a passcode, and goes on with that login for as long as it lasts."""

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
        """The last token while it lasts; else one of the same login, or of a new one.

        Raises:
            NotSignedIn: the server does not accept the account.
            Refused: not now (`rate_limited`, `unavailable`).
            Unknown: no answer came.
        """
        last = self._token
        async with self._turn:
            if self._token and self._clock() < self._good_until and not (renew and self._token == last):
                return self._token
            grant = await self._refreshed() or await self._logged_in()
            self._token, self._refresh_token = grant["access_token"], grant.get("refresh_token")
            self._good_until = self._clock() + max(grant["expires_in"] - RENEW_BEFORE, grant["expires_in"] / 2)
            return self._token

    async def _refreshed(self) -> Grant | None:
        """The login goes on; `None` if there is none, or it has ended."""
        if self._refresh_token is None:
            return None
        try:
            return await self._accounts.refresh(self._refresh_token)
        except Refused as error:
            if error.code in PASSING:
                raise
            self._refresh_token = None
            return None

    async def _logged_in(self) -> Grant:
        try:
            return await self._accounts.login(self._user_id, self._passcode)
        except Refused as error:
            if error.code in PASSING:
                raise
            raise NotSignedIn(error.code, error.detail) from error


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None

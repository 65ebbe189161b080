"""HTTP client for auth: its public keys, the revoked logins, and which accounts exist."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Self

import httpx2
import orjson

FetchAccounts = Callable[[Sequence[str]], Awaitable[Collection[str]]]  # returns the ids that belong to accounts

TIMEOUT = 2.0  # seconds to connect, and between two parts of an answer
PARSE_INLINE_MAX = 256 * 1024  # bytes parsed in the event loop (about 3 ms); longer answers are parsed in a thread


class AuthClient:
    """The routes of auth that gateways use; an async context manager.

    `auth_url` is like `http://auth:8000`. The methods raise the exceptions of httpx2.
    """

    def __init__(self, auth_url: str) -> None:
        # A given transport ignores HTTP_PROXY and ALL_PROXY, but not SSL_CERT_FILE, as `trust_env=False` would.
        transport = httpx2.AsyncHTTPTransport()
        self._http = httpx2.AsyncClient(base_url=auth_url.rstrip("/"), timeout=TIMEOUT, transport=transport)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._http.aclose()

    async def jwks(self) -> dict[str, Any]:
        """Fetch the JWK set of `/.well-known/jwks.json`."""
        response = await self._http.get("/.well-known/jwks.json")
        response.raise_for_status()
        return dict(response.json())

    async def existing_accounts(self, user_ids: Sequence[str]) -> list[str]:
        """Return those of the ids that belong to accounts."""
        response = await self._http.get("/internal/accounts", params={"id": list(user_ids)})
        response.raise_for_status()
        return list(response.json()["ids"])

    async def revocations(self, cursor: str | None) -> dict[str, Any]:
        """Fetch the logins revoked since a cursor (`None`: all whose tokens may be unexpired)."""
        response = await self._http.get("/internal/revocations", params={} if cursor is None else {"cursor": cursor})
        response.raise_for_status()
        body = response.content
        if len(body) <= PARSE_INLINE_MAX:
            return dict(orjson.loads(body))
        return await asyncio.to_thread(parse_in_thread, body)


def parse_in_thread(body: bytes) -> dict[str, Any]:
    """Parse a long answer; to be called in a thread.

    A parser in C holds the interpreter lock during the whole call, 0.2 s for 300,000 logins. The Python hook, called
    for each object, gives other threads the lock in between.
    """
    return dict(json.loads(body, object_hook=lambda found: found))

"""What a gateway asks auth over HTTP: its public keys, and the logins that are over."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Self

import httpx2
import orjson

TIMEOUT = 2.0  # seconds to connect, and between two parts of an answer
PARSE_INLINE_MAX = (
    256 * 1024
)  # bytes that are parsed in one go (about 3 ms); longer answers are parsed beside the event loop


class AuthClient:
    """The two routes of auth that gateways use; an async context manager."""

    def __init__(self, auth_url: str) -> None:
        """`auth_url` as in `http://auth:8000`."""
        self._http = httpx2.AsyncClient(base_url=auth_url.rstrip("/"), timeout=TIMEOUT)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._http.aclose()

    async def jwks(self) -> dict[str, Any]:
        """The JWK set of `/.well-known/jwks.json`; raises what the transport raises."""
        response = await self._http.get("/.well-known/jwks.json")
        response.raise_for_status()
        return dict(response.json())

    async def revocations(self, cursor: str | None) -> dict[str, Any]:
        """The logins revoked since a cursor (`None`: all that still matter); raises what the transport raises."""
        response = await self._http.get("/internal/revocations", params={} if cursor is None else {"cursor": cursor})
        response.raise_for_status()
        body = response.content
        if len(body) <= PARSE_INLINE_MAX:
            return dict(orjson.loads(body))
        return await asyncio.to_thread(parse_in_thread, body)


def parse_in_thread(body: bytes) -> dict[str, Any]:
    """Parse a long answer, in a thread.

    One call of a parser written in C keeps the interpreter to itself for as long as it takes, 0.2 s for 300,000
    logins; a hook of ours for each object lets others run in between.
    """
    return dict(json.loads(body, object_hook=lambda found: found))

"""Which gateway is tried, and with which token."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from backchat_client.errors import NotSignedIn, Refused, Unknown
from backchat_client.transport import link
from backchat_client.transport.link import Link

Fate = Exception | str  # why a connection fails, or the event after which it breaks


class Gateways:
    """Connections with scripted outcomes in turn, followed by one that lasts."""

    def __init__(self, fates: list[Fate]) -> None:
        self.fates = fates
        self.tries: list[tuple[str, str]] = []
        self.steady = asyncio.Event()

    def connection(self, url: str, *, on_event: Callable[..., None], on_lost: Callable[..., None]) -> Any:
        gateways = self

        class Connection:
            def __init__(self) -> None:
                self.url = url
                self.fate: Fate | None = None

            async def open(self, token: str) -> dict[str, Any]:
                gateways.tries.append((url, token))
                self.fate = gateways.fates.pop(0) if gateways.fates else None
                if isinstance(self.fate, Exception):
                    raise self.fate
                return {"user_id": "ada"}

            async def lost(self) -> None:
                if self.fate is None:
                    gateways.steady.set()
                    await asyncio.Event().wait()
                on_event(self.fate, {"retry_after": 0.01})
                on_lost(self)

            def drop(self) -> None:
                on_lost(self)

            async def close(self) -> None: ...

        return Connection()


class Tokens:
    def __init__(self) -> None:
        self.number = 1

    async def __call__(self, *, renew: bool) -> str:
        self.number += renew
        if self.number > 3:
            raise NotSignedIn("invalid_credentials")
        return f"token {self.number}"


async def tries(monkeypatch: pytest.MonkeyPatch, *fates: Fate) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the connections made until one lasted, and the events that the client received."""
    gateways, told = Gateways(list(fates)), []
    monkeypatch.setattr(link, "Connection", gateways.connection)
    there = Link(
        ["a", "b"],
        Tokens(),
        random=lambda: 0.0,
        on_connected=lambda _ready: told.append("connected"),
        on_lost=lambda: told.append("lost"),
        on_event=lambda name, _payload: told.append(name),
    )
    running = asyncio.create_task(there.run())
    steady = asyncio.create_task(gateways.steady.wait())
    await asyncio.wait([running, steady], return_when=asyncio.FIRST_COMPLETED)
    steady.cancel()
    if running.done():
        running.result()
    running.cancel()
    await asyncio.wait([running])
    return gateways.tries, told


async def test_gateways_are_tried_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed, refused or closed connection the next gateway is tried."""
    made, told = await tries(monkeypatch, Unknown("no"), Refused("unavailable", retry_after=0.01), "going_away")
    assert made == [("a", "token 1"), ("b", "token 1"), ("a", "token 1"), ("b", "token 1")]
    assert told == ["connected", "going_away", "lost", "connected", "lost"]


async def test_refused_token_is_renewed_without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the same gateway, and only once in a row without a pause."""
    made, _ = await tries(monkeypatch, Refused("token_expired"), Refused("unauthenticated"))
    assert made == [("a", "token 1"), ("a", "token 2"), ("b", "token 3")]


async def test_expired_socket_is_followed_by_a_new_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """After `auth_expired` the next connection uses a new token."""
    made, _ = await tries(monkeypatch, "auth_expired")
    assert made == [("a", "token 1"), ("b", "token 2")]


async def test_refused_account_stops_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the account is refused, the link stops."""
    with pytest.raises(NotSignedIn):
        await tries(monkeypatch, *[Refused("unauthenticated")] * 4)

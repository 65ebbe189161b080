"""Which gateway is tried when, and with which token."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from backchat_client.errors import NotSignedIn, Refused, Unknown
from backchat_client.transport import link
from backchat_client.transport.link import Link

Fate = Exception | str  # why there is no connection, or the event after which it breaks


class Gateways:
    """Connections that go as scripted, one after the other; then one that lasts."""

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
    """The connections made until one lasts, and what the client was told."""
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


async def test_gateways_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failure, a refusal or a farewell it is the next one's turn."""
    made, told = await tries(monkeypatch, Unknown("no"), Refused("unavailable", retry_after=0.01), "going_away")
    assert made == [("a", "token 1"), ("b", "token 1"), ("a", "token 1"), ("b", "token 1")]
    assert told == ["connected", "going_away", "lost", "connected", "lost"]


async def test_a_refused_token_is_renewed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the same gateway; and no more than once in a row without a pause."""
    made, _ = await tries(monkeypatch, Refused("token_expired"), Refused("unauthenticated"))
    assert made == [("a", "token 1"), ("a", "token 2"), ("b", "token 3")]


async def test_an_expired_socket_gets_a_new_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auth_expired` ends the socket; the next one does not come with the same token."""
    made, _ = await tries(monkeypatch, "auth_expired")
    assert made == [("a", "token 1"), ("b", "token 2")]


async def test_no_hope(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the account itself is refused, it ends."""
    with pytest.raises(NotSignedIn):
        await tries(monkeypatch, *[Refused("unauthenticated")] * 4)

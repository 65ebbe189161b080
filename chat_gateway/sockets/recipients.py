"""What sessions and users are followed by: a socket, or an event stream over HTTP."""

from __future__ import annotations

import asyncio
from typing import Protocol

from chat_gateway.identity.authentication import Identity
from chat_gateway.transport.frames import Frame


class Recipient(Protocol):
    """What can join sessions. `joined` are the ids of the sessions it has joined."""

    user_id: str
    identity: Identity
    joined: set[str]

    @property
    def open(self) -> bool:
        """Whether the client is still connected."""

    @property
    def receives(self) -> bool:
        """Whether it can join sessions, that is, be sent events after an answer."""

    @property
    def follows(self) -> str | None:
        """The id of the only session that a stream receives; `None` for all others, which have no such restriction."""

    def send(self, frame: Frame) -> None:
        """Queue a frame; never waits, never raises. Does nothing if it receives none."""


class ConnectedClient(Recipient, Protocol):
    """A socket or a stream with the lifetime of its token: `valid_until` is its expiry (monotonic seconds)."""

    valid_until: float
    expiry: asyncio.TimerHandle | None

    def dismiss(self, *last_words: Frame) -> None:
        """Send the last frames and disconnect the client."""

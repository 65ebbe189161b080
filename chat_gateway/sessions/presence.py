"""Attendance: who of a session's people has joined it just now, on whatever gateway. Volatile, like typing.

Each gateway tells the others who is there by it, when that changes and every so often besides; what was not said
again in time is over, so that a gateway that has died is missed. Sessions of one person say nothing.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from chat_gateway.sessions.pacing import Pacing
from chat_gateway.sessions.persistence_client import SOURCE
from chat_gateway.sessions.registry import SessionRegistry
from chat_gateway.sessions.session_state import Recipient, ServedSession
from chat_gateway.transport import frames
from chat_gateway.transport.frames import Frame
from shared.bus.port import Bus
from shared.contracts.envelope import Event
from shared.contracts.events import PeoplePresent
from shared.contracts.topology import DELIVERY, session_key

ANNOUNCE_EVERY = 1.0  # seconds between two changes that are told of one session
REPEAT_EVERY = 30.0  # seconds
EXPIRES_AFTER = 75.0  # seconds: twice unheard, and some


@dataclass(slots=True)
class SessionPresence:
    """What is known of one session: who is there by us as we told it, by others as they did, and what was shown."""

    announced: frozenset[str] = frozenset()
    by_gateway: dict[str, tuple[frozenset[str], float]] = field(default_factory=dict)  # by gateway, with the time
    shown: frozenset[str] = frozenset()


class PresenceTracker:
    """All sessions that this gateway serves and that several people share."""

    def __init__(self, bus: Bus, registry: SessionRegistry) -> None:
        self._bus = bus
        self._registry = registry
        self._name = uuid.uuid4().hex
        self._by_session: dict[str, SessionPresence] = {}
        self._pacing: Pacing[str, None] = Pacing(ANNOUNCE_EVERY, lambda key, _: self._publish_changes(key))

    def joined(self, session: ServedSession, socket: Recipient) -> None:
        """A socket has joined: it is shown who is there, and the others that it has come."""
        if session.members <= {socket.user_id}:
            return
        known = self._by_session.setdefault(session.key, SessionPresence())
        socket.send(_frame(session, self._present(session, known)))
        self._pacing.offer(session.key, None)

    def changed(self, key: str) -> None:
        """A socket receives the session no longer, or its members have changed."""
        if key in self._by_session:
            self._pacing.offer(key, None)

    def received(self, data: dict[str, Any]) -> None:
        """Another gateway, or our own, said who is there by it."""
        session = self._registry.find(data["session_id"])
        if session is None or data["gateway"] == self._name:
            return
        known = self._by_session.setdefault(session.key, SessionPresence())
        if data["users"]:
            known.by_gateway[data["gateway"]] = (frozenset(data["users"]), time.monotonic())
        else:
            known.by_gateway.pop(data["gateway"], None)
        if data["ask"] and (here := session.present()):
            known.announced = here
            self._announce(session, here, ask=False)
        self._pacing.offer(session.key, None)

    async def announce_periodically(self) -> None:
        """Every so often: say who is here, and forget what others have not said again."""
        while True:
            await asyncio.sleep(REPEAT_EVERY)
            over = time.monotonic() - EXPIRES_AFTER
            for key, known in list(self._by_session.items()):
                session = self._registry.find(key)
                known.by_gateway = {name: seen for name, seen in known.by_gateway.items() if seen[1] > over}
                if session is None or not (session.present() or known.announced or known.by_gateway):
                    del self._by_session[key]
                    continue
                if known.announced:
                    self._announce(session, known.announced, ask=False)
                self._pacing.offer(key, None)

    def close(self) -> None:
        """Say nothing more."""
        self._pacing.close()

    def _publish_changes(self, key: str) -> None:
        """What has changed is told to the other gateways, and shown to the sockets here."""
        session, known = self._registry.find(key), self._by_session.get(key)
        if session is None or known is None:
            return
        here = session.present()
        if here != known.announced:
            asking = not known.announced
            known.announced = here
            self._announce(session, here, ask=asking)
        present = self._present(session, known)
        if present != known.shown:
            known.shown = present
            frames.send_all(session.joined(), _frame(session, present))

    def _present(self, session: ServedSession, known: SessionPresence) -> frozenset[str]:
        by_gateway = (users for users, _ in known.by_gateway.values())
        return session.present().union(*by_gateway) & session.members

    def _announce(self, session: ServedSession, users: Iterable[str], *, ask: bool) -> None:
        if self._bus.connected:
            said = PeoplePresent(session_id=session.id, gateway=self._name, users=sorted(users), ask=ask)
            self._bus.stream(DELIVERY, session_key(session.partition), Event(SOURCE, said, session.key))


def _frame(session: ServedSession, users: frozenset[str]) -> Frame:
    return frames.event("presence", {"session_id": session.key, "users": sorted(users)})

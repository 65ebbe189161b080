"""Presence: which members of a session have joined it on any gateway. Volatile, like typing.

Each gateway announces its users to all gateways when they change, and every `REPEAT_EVERY` seconds. An
announcement that is not repeated expires, so that the users of a dead gateway disappear. Sessions with one member are
not announced.
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
from chat_gateway.sessions.session_state import ServedSession
from chat_gateway.sockets.recipients import Recipient
from chat_gateway.transport import frames
from chat_gateway.transport.frames import Frame
from shared.bus.port import Bus
from shared.contracts.envelope import Event
from shared.contracts.events import PeoplePresent
from shared.contracts.topology import DELIVERY, session_key

ANNOUNCE_EVERY = 1.0  # seconds between two announcements of one session's changes
REPEAT_EVERY = 30.0  # seconds
EXPIRES_AFTER = 75.0  # seconds: two missed repetitions and a margin


@dataclass(slots=True)
class SessionPresence:
    """One session: the local users last announced, the users of other gateways, and what local sockets were shown."""

    announced: frozenset[str] = frozenset()
    by_gateway: dict[str, tuple[frozenset[str], float]] = field(default_factory=dict)  # with the time of receipt
    shown: frozenset[str] = frozenset()


class PresenceTracker:
    """The presence of all served sessions with several members."""

    def __init__(self, bus: Bus, registry: SessionRegistry) -> None:
        self._bus = bus
        self._registry = registry
        self._name = uuid.uuid4().hex
        self._by_session: dict[str, SessionPresence] = {}
        self._pacing: Pacing[str, None] = Pacing(ANNOUNCE_EVERY, lambda key, _: self._publish_changes(key))

    def joined(self, session: ServedSession, socket: Recipient) -> None:
        """Send the present users to a receiver that has just joined; the user of a socket is announced."""
        if session.members <= {socket.user_id}:
            return
        known = self._by_session.setdefault(session.key, SessionPresence())
        present = self._present(session, known)
        if socket.follows is not None:
            if not known.announced:  # no announcement of a local user asks for the others
                self._announce(session, session.present(), ask=True)
            # What the other receivers were shown last: a stream is no change, so nothing else would correct the list.
            present = known.shown = known.shown or present
        socket.send(_frame(session, present))
        self._pacing.offer(session.key, None)

    def changed(self, key: str) -> None:
        """Publish changes after a socket left the session or its members changed."""
        if key in self._by_session:
            self._pacing.offer(key, None)

    def received(self, session: ServedSession, data: dict[str, Any]) -> None:
        """Take a `PeoplePresent` from another gateway; those of this one are ignored."""
        if data["gateway"] == self._name:
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
        """Repeat the announcements and drop the expired ones of other gateways, until cancelled."""
        while True:
            await asyncio.sleep(REPEAT_EVERY)
            expired = time.monotonic() - EXPIRES_AFTER
            for key, known in list(self._by_session.items()):
                session = self._registry.find(key)
                known.by_gateway = {name: seen for name, seen in known.by_gateway.items() if seen[1] > expired}
                if session is None or not (session.present() or known.announced or known.by_gateway):
                    del self._by_session[key]
                    continue
                if known.announced:
                    self._announce(session, known.announced, ask=False)
                self._pacing.offer(key, None)

    def close(self) -> None:
        """Cancel the timers."""
        self._pacing.close()

    def _publish_changes(self, key: str) -> None:
        """Announce changed local users to all gateways, and send a changed list to the local sockets."""
        session, known = self._registry.find(key), self._by_session.get(key)
        if session is None or known is None:
            return
        here = session.present()
        if here != known.announced:
            is_first = not known.announced  # then all gateways are asked for their users
            known.announced = here
            self._announce(session, here, ask=is_first)
        present = self._present(session, known)
        if present != known.shown:
            known.shown = present
            frames.send_all(session.joined(), _frame(session, present))

    def _present(self, session: ServedSession, known: SessionPresence) -> frozenset[str]:
        elsewhere = (users for users, _ in known.by_gateway.values())
        return session.present().union(*elsewhere) & session.members

    def _announce(self, session: ServedSession, users: Iterable[str], *, ask: bool) -> None:
        if self._bus.connected:
            data = PeoplePresent(session_id=session.id, gateway=self._name, users=sorted(users), ask=ask)
            self._bus.stream(DELIVERY, session_key(session.partition), Event(SOURCE, data, session.key))


def _frame(session: ServedSession, users: frozenset[str]) -> Frame:
    return frames.event("presence", {"session_id": session.key, "users": sorted(users)})

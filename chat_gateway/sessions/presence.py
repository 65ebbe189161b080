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
from chat_gateway.sessions.registry import Registry
from chat_gateway.sessions.session_state import Recipient, ServedSession
from chat_gateway.transport import frames
from chat_gateway.transport.frames import Frame
from shared.bus.port import Bus
from shared.contracts.envelope import Event
from shared.contracts.events import PeoplePresent
from shared.contracts.topology import DELIVERY, session_key

TOLD_EVERY = 1.0  # seconds between two changes that are told of one session
SAID_AGAIN_EVERY = 30.0  # seconds
OVER_AFTER = 75.0  # seconds: twice unheard, and some


@dataclass(slots=True)
class Room:
    """What is known of one session: who is there by us as we told it, by others as they did, and what was shown."""

    told: frozenset[str] = frozenset()
    elsewhere: dict[str, tuple[frozenset[str], float]] = field(default_factory=dict)  # by gateway, with the time
    shown: frozenset[str] = frozenset()


class Attendance:
    """All sessions that this gateway serves and that several people share."""

    def __init__(self, bus: Bus, registry: Registry) -> None:
        self._bus = bus
        self._registry = registry
        self._name = uuid.uuid4().hex
        self._rooms: dict[str, Room] = {}
        self._pacing: Pacing[str, None] = Pacing(TOLD_EVERY, lambda key, _: self._look(key))

    def joined(self, session: ServedSession, socket: Recipient) -> None:
        """A socket has joined: it is shown who is there, and the others that it has come."""
        if session.members <= {socket.user_id}:
            return
        room = self._rooms.setdefault(session.key, Room())
        socket.send(_frame(session, self._present(session, room)))
        self._pacing.offer(session.key, None)

    def changed(self, key: str) -> None:
        """A socket receives the session no longer, or its members have changed."""
        if key in self._rooms:
            self._pacing.offer(key, None)

    def heard(self, data: dict[str, Any]) -> None:
        """Another gateway, or our own, said who is there by it."""
        session = self._registry.find(data["session_id"])
        if session is None or data["gateway"] == self._name:
            return
        room = self._rooms.setdefault(session.key, Room())
        if data["users"]:
            room.elsewhere[data["gateway"]] = (frozenset(data["users"]), time.monotonic())
        else:
            room.elsewhere.pop(data["gateway"], None)
        if data["ask"] and (here := session.present()):
            room.told = here
            self._tell(session, here, ask=False)
        self._pacing.offer(session.key, None)

    async def say_again(self) -> None:
        """Every so often: say who is here, and forget what others have not said again."""
        while True:
            await asyncio.sleep(SAID_AGAIN_EVERY)
            over = time.monotonic() - OVER_AFTER
            for key, room in list(self._rooms.items()):
                session = self._registry.find(key)
                room.elsewhere = {name: seen for name, seen in room.elsewhere.items() if seen[1] > over}
                if session is None or not (session.present() or room.told or room.elsewhere):
                    del self._rooms[key]
                    continue
                if room.told:
                    self._tell(session, room.told, ask=False)
                self._pacing.offer(key, None)

    def close(self) -> None:
        """Say nothing more."""
        self._pacing.close()

    def _look(self, key: str) -> None:
        """What has changed is told to the other gateways, and shown to the sockets here."""
        session, room = self._registry.find(key), self._rooms.get(key)
        if session is None or room is None:
            return
        here = session.present()
        if here != room.told:
            asking = not room.told
            room.told = here
            self._tell(session, here, ask=asking)
        present = self._present(session, room)
        if present != room.shown:
            room.shown = present
            frames.send_all(session.joined(), _frame(session, present))

    def _present(self, session: ServedSession, room: Room) -> frozenset[str]:
        elsewhere = (users for users, _ in room.elsewhere.values())
        return session.present().union(*elsewhere) & session.members

    def _tell(self, session: ServedSession, users: Iterable[str], *, ask: bool) -> None:
        if self._bus.connected:
            said = PeoplePresent(session_id=session.id, gateway=self._name, users=sorted(users), ask=ask)
            self._bus.stream(DELIVERY, session_key(session.partition), Event(SOURCE, said, session.key))


def _frame(session: ServedSession, users: frozenset[str]) -> Frame:
    return frames.event("presence", {"session_id": session.key, "users": sorted(users)})

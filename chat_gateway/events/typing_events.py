"""Client events that show other members what a user does: typing, and how far they have read."""

from __future__ import annotations

from collections.abc import Mapping

from chat_gateway.events.calls import Call, Handler
from chat_gateway.protocol import payloads
from chat_gateway.sessions.joining import Sessions
from chat_gateway.sessions.persistence_client import SOURCE, PersistenceClient
from shared.bus.port import Bus
from shared.contracts import ids
from shared.contracts.commands import MarkRead
from shared.contracts.envelope import Event
from shared.contracts.events import TypingChanged
from shared.contracts.topology import DELIVERY, session_key
from shared.errors import Unavailable


class TypingEvents:
    """Handlers of typing and read marks."""

    def __init__(self, bus: Bus, persistence: PersistenceClient, sessions: Sessions, partitions: int) -> None:
        self._bus = bus
        self._persistence = persistence
        self._sessions = sessions
        self._partitions = partitions

    @property
    def handlers(self) -> Mapping[type[payloads.ClientPayload], Handler]:
        """See `EventHandlers`."""
        return {payloads.SetTyping: self._set_typing, payloads.MarkRead: self._mark_read}

    async def _set_typing(self, call: Call, request: payloads.SetTyping) -> None:
        """Stream the state of typing to all gateways; it is not stored."""
        user, session_id = call.caller.user_id, request.session_id
        await self._sessions.load_for(session_id, call.caller.identity, call.remaining)
        if not self._bus.connected:
            raise Unavailable(retry_after=1.0)
        shown = TypingChanged(session_id=session_id, sender_type="user", sender_id=user, typing=request.typing)
        key = session_key(ids.partition(session_id, self._partitions))
        self._bus.stream(DELIVERY, key, Event(SOURCE, shown, str(session_id)))
        call.accept({})

    async def _mark_read(self, call: Call, request: payloads.MarkRead) -> None:
        command = MarkRead(session_id=request.session_id, user_id=call.caller.user_id, seq=request.seq)
        await self._persistence.command(command, call.caller.identity, call.remaining)
        call.accept({})

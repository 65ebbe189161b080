"""Client events about replies and the messages they answer: stop, regenerate, edit, rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chat_gateway.events.calls import Call, Handler
from chat_gateway.protocol import payloads
from chat_gateway.sessions.joining import Sessions
from chat_gateway.sessions.persistence_client import SOURCE, PersistenceClient
from shared.bus.port import Bus
from shared.contracts.commands import EditMessage, RateReply, RegenerateReply, StopReply
from shared.contracts.envelope import Event
from shared.contracts.topology import CONTROL, CONTROL_KEY
from shared.contracts.turns import StopTurn


class ReplyEvents:
    """Handlers of events about one message."""

    def __init__(self, bus: Bus, persistence: PersistenceClient, sessions: Sessions) -> None:
        self._bus = bus
        self._persistence = persistence
        self._sessions = sessions

    @property
    def handlers(self) -> Mapping[type[payloads.ClientPayload], Handler]:
        """See `EventHandlers`."""
        return {
            payloads.StopReply: self._stop_reply,
            payloads.RegenerateReply: self._regenerate_reply,
            payloads.EditMessage: self._edit_message,
            payloads.RateReply: self._rate_reply,
        }

    async def _stop_reply(self, call: Call, request: payloads.StopReply) -> None:
        """Stop a reply. The chatbot workers are notified at once if the membership is known; the command stores it."""
        user, session_id, message_id = call.caller.user_id, request.session_id, request.message_id
        if self._sessions.is_member(str(session_id), user) and self._bus.connected:
            stop = StopTurn(session_id=session_id, message_id=message_id)
            self._bus.stream(CONTROL, CONTROL_KEY, Event(SOURCE, stop, str(session_id)))
        command = StopReply(session_id=session_id, user_id=user, message_id=message_id)
        await self._command(call, command)
        call.accept({})

    async def _regenerate_reply(self, call: Call, request: payloads.RegenerateReply) -> None:
        command = RegenerateReply(
            session_id=request.session_id, user_id=call.caller.user_id, message_id=request.message_id
        )
        found = await self._command(call, command)
        call.accept({"message_id": found["message_id"]})

    async def _edit_message(self, call: Call, request: payloads.EditMessage) -> None:
        command = EditMessage(
            session_id=request.session_id,
            user_id=call.caller.user_id,
            message_id=request.message_id,
            content=request.content,
        )
        await self._command(call, command)
        call.accept({})

    async def _rate_reply(self, call: Call, request: payloads.RateReply) -> None:
        command = RateReply(
            session_id=request.session_id,
            user_id=call.caller.user_id,
            message_id=request.message_id,
            rating=request.rating,
            comment=request.comment,
        )
        await self._command(call, command)
        call.accept({})

    async def _command(self, call: Call, command: Any) -> dict[str, Any]:
        return await self._persistence.command(command, call.caller.identity, call.remaining)

"""Events of Server-Sent Events, by stream: those of Socket.IO, of which only `ready` differs. Pure."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from chat_gateway.protocol.acks import ActiveReply
from chat_gateway.protocol.server_events import SERVER_EVENTS
from shared.contracts.payload import Model
from shared.contracts.views import OwnSession

ELSEWHERE = ("session_activity",)  # sent to clients that have not joined the session
JOINED = ("message", "message_updated", "message_delta", "reasoning_delta", "typing", "read", "presence")


class StreamReady(Model):
    """The event between the changes after the cursor and the live events; its `id` is `last_seq`."""

    session: Annotated[OwnSession, Meta(description="The session with the read mark of the caller")]
    last_seq: Annotated[int, Meta(description="The newest number; all changes up to it have been sent")]
    active_replies: Annotated[list[ActiveReply], Meta(description="Replies in progress")]


SESSION_STREAM: dict[str, type[Model]] = {
    name: StreamReady if name == "ready" else model for name, model in SERVER_EVENTS.items() if name not in ELSEWHERE
}
USER_STREAM: dict[str, type[Model]] = {name: model for name, model in SERVER_EVENTS.items() if name not in JOINED}

"""`/asyncapi.json`: the Socket.IO protocol and the bus, described from the models that the code runs on."""

from __future__ import annotations

from functools import cache
from typing import Any

from chat_gateway.protocol.acks import ACKS
from chat_gateway.protocol.payloads import CLIENT_EVENTS
from chat_gateway.protocol.server_events import SERVER_EVENTS
from chat_gateway.protocol.stream_events import SESSION_STREAM, USER_STREAM
from shared import __version__
from shared.contracts.asyncapi import Channel, bus_channels, describe

DESCRIPTION = (
    "Clients speak Socket.IO v5 on namespace `/` at `/socket.io/`, with `auth: {token}`. Every client event takes "
    'one JSON object and is acked with `{"ok": true, …}` (`x-ack` has the other fields) or `{"ok": false, "error": '
    '{"code", "message", "retry_after"?}}`. The channels after those of clients are the bus between the services.'
)
SESSION_STREAM_IS = "Server-Sent Events of one session: the changes after the cursor, `ready`, then live events"
USER_STREAM_IS = "Server-Sent Events of a user: what a socket receives that has joined no session"


@cache
def document() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document."""
    clients = [
        Channel("client", "/socket.io/", "Events of a client, each acked", "receive", CLIENT_EVENTS, replies=ACKS),
        Channel("server", "/socket.io/", "Events of the server", "send", SERVER_EVENTS),
        Channel("session_stream", "/v1/sessions/{session_id}/events", SESSION_STREAM_IS, "send", SESSION_STREAM),
        Channel("user_stream", "/v1/events", USER_STREAM_IS, "send", USER_STREAM),
    ]
    return describe("Backchat", __version__, DESCRIPTION, [*clients, *bus_channels()])

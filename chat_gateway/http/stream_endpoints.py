"""The streams of the API: `GET /v1/sessions/{session_id}/events` and `GET /v1/events`."""

from __future__ import annotations

import re

from starlette.types import ASGIApp

from chat_gateway.events.client_events import check_scope
from chat_gateway.http.api import forms
from chat_gateway.http.api import headers as request_headers
from chat_gateway.http.api.routes import Endpoint, Request
from chat_gateway.protocol import parsing
from chat_gateway.protocol.fields import SEQ_MAX
from chat_gateway.protocol.payloads import JoinChat
from chat_gateway.streams.event_streams import EventStreams
from shared.errors import InvalidRequest

CURSOR = "after_seq"
_NUMBER = re.compile(rb"[0-9]+")


class SessionStreamEndpoint:
    """Answers with the stream of one session, from the cursor on."""

    def __init__(self, streams: EventStreams) -> None:
        self._streams = streams

    async def __call__(self, request: Request) -> ASGIApp:
        """Return the stream."""
        check_scope(request.caller.identity, "join_chat")
        cursor = _cursor(request)
        payload = parsing.parse("join_chat", [{"session_id": request.variables["session_id"], CURSOR: cursor}])
        assert isinstance(payload, JoinChat)
        return await self._streams.open_session(request.caller.identity, payload, request.scope)


class UserStreamEndpoint:
    """Answers with the stream of the user."""

    def __init__(self, streams: EventStreams) -> None:
        self._streams = streams

    async def __call__(self, request: Request) -> ASGIApp:
        """Return the stream."""
        check_scope(request.caller.identity, "list_chats")
        return await self._streams.open_user(request.caller.identity, request.scope)


def endpoints(streams: EventStreams) -> list[tuple[str, Endpoint]]:
    """Return the endpoints with their paths."""
    return [
        ("/v1/sessions/{session_id}/events", SessionStreamEndpoint(streams)),
        ("/v1/events", UserStreamEndpoint(streams)),
    ]


def _cursor(request: Request) -> int | None:
    """Return the number after which a stream begins: `Last-Event-ID`, else `after_seq`, else `None`.

    A number that no session can have is above the newest one, so it is reduced to the highest possible one.

    Raises:
        InvalidRequest: the header or the parameter is not a number of decimal digits.
    """
    parameter = forms.parameters(request.scope["query_string"], {CURSOR}).get(CURSOR)
    sent = b",".join(value.strip() for value in request_headers.values(request.headers, b"last-event-id"))
    if not sent:
        return None if parameter is None else min(int(parameter), SEQ_MAX)
    if _NUMBER.fullmatch(sent) is None:
        raise InvalidRequest("Last-Event-ID: not a number of decimal digits")
    digits = sent.lstrip(b"0")
    return int(digits or b"0") if len(digits) < len(str(SEQ_MAX)) else SEQ_MAX

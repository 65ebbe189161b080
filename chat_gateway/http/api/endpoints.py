"""The endpoint of a route: fills the form of its event, runs it, and turns the answer into a response."""

from __future__ import annotations

import time
from typing import Any

from chat_gateway.events.client_events import ClientEvents
from chat_gateway.http.api import forms, headers
from chat_gateway.http.api.answers import Answer, refusal
from chat_gateway.http.api.paths import ONESELF, USER
from chat_gateway.http.api.routes import Request, Route
from chat_gateway.http.api.waiter import Rejected
from chat_gateway.http.api.waiting import Waits
from chat_gateway.protocol import parsing, payloads
from shared.errors import Conflict

PRECONDITION_FAILED = 412


class EventEndpoint:
    """Answers the requests of one route."""

    def __init__(self, route: Route, events: ClientEvents) -> None:
        self._route = route
        self._events = events
        self._parameters = frozenset(parsing.payload_model(route.event).model_fields)

    async def __call__(self, request: Request) -> Answer:
        """Answer one request; raises `BackchatError` to refuse it."""
        route, condition = self._route, None
        fields = await self.fields(request)
        event = route.event
        if route.oneself is not None and request.variables[USER] == ONESELF:
            event = route.oneself
        if route.conditional:
            condition = headers.if_match(request.headers)
        call = self._events.request(request.caller, event, fields, held=request.held, if_seq=condition)
        try:
            return route.respond(call, await call.answer)
        except Conflict as error:
            if condition is None:
                raise
            return refusal(error, status=PRECONDITION_FAILED)

    async def fields(self, request: Request) -> dict[str, Any]:
        """Return the fields of the event; those in the path override all others."""
        if self._route.has_body:
            has_body = forms.check_media_type(request.headers)
            forms.check_size(request.headers)
            fields = forms.json_object(await forms.read_body(request.receive)) if has_body else {}
        else:
            forms.check_size(request.headers)
            known = self._parameters - request.variables.keys()
            fields = forms.parameters(request.scope["query_string"], known) if request.scope["query_string"] else {}
        if self._route.key is not None:
            forms.with_key(fields, self._route.key, request.headers)
        return {**fields, **request.variables}


class SendEndpoint:
    """Answers `POST …/messages`: at once, or with `Prefer: wait=N` when the message is answered."""

    def __init__(self, endpoint: EventEndpoint, events: ClientEvents, waits: Waits) -> None:
        self._endpoint = endpoint
        self._events = events
        self._waits = waits

    async def __call__(self, request: Request) -> Answer:
        """Answer one request; raises `BackchatError` to refuse it."""
        seconds = headers.wait_preference(request.headers)
        if seconds is None:
            return await self._endpoint(request)
        until = time.monotonic() + seconds
        fields = await self._endpoint.fields(request)
        place = parsing.parse_request("get_session", {"session_id": fields["session_id"]})
        assert isinstance(place, payloads.GetSession)
        async with self._waits.begin(request.caller.identity, place.session_id) as wait:
            accepted = await self._events.request(request.caller, "send_message", fields, held=request.held).answer
            known = accepted["client_message_id"] is not None
            try:
                found = await wait.answer(accepted["message_id"], until, request.receive, known=known)
            except Rejected as rejected:
                return refusal(rejected.error, rejected=True)
        if found is None:
            return Answer(202, accepted)
        return Answer(200, found, [(b"preference-applied", b"wait=%d" % seconds)])

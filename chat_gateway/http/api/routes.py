"""The table of routes: the event that each request is, and how its answer becomes a response."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.types import ASGIApp, Receive, Scope

from chat_gateway.events.calls import RequestCall
from chat_gateway.http.api import headers as request_headers
from chat_gateway.http.api.answers import Answer, RawHeader
from chat_gateway.http.api.callers import RequestCaller
from chat_gateway.http.api.headers import Headers

Respond = Callable[[RequestCall, dict[str, Any]], Answer]


@dataclass(slots=True)
class Request:
    """An authenticated request with a known path and method. `variables`: the texts of the path's variable segments.

    `held`: the seconds for which it was held until its token could be checked, which its answer must not add to.
    """

    scope: Scope
    receive: Receive
    headers: Headers
    variables: Mapping[str, str]
    caller: RequestCaller
    held: float


class Endpoint(Protocol):
    """Answers the requests of one route; raises `BackchatError` to refuse one."""

    async def __call__(self, request: Request) -> ASGIApp:
        """Return the response."""


@dataclass(frozen=True, slots=True)
class Route:
    """An event by its method and path. `has_body`: its fields come from a JSON body instead of parameters.

    `statuses` are those of success. `key`: the field that the idempotency key sets. `oneself`: the event if the user in
    the path is `@me`.
    """

    method: str
    path: str
    event: str
    respond: Respond
    summary: str
    statuses: tuple[int, ...] = (200,)
    has_body: bool = False
    key: str | None = None
    oneself: str | None = None
    conditional: bool = False  # obeys `If-Match`


@dataclass(frozen=True, slots=True)
class Path:
    """The endpoints of a path by method."""

    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    streams: set[str] = field(default_factory=set)  # methods that have no HEAD

    def endpoint(self, method: str) -> Endpoint | None:
        """Return the endpoint of a method; HEAD is as GET."""
        if method == "HEAD" and "GET" not in self.streams:
            method = "GET"
        return self.endpoints.get(method)

    @property
    def methods(self) -> list[str]:
        """The allowed methods."""
        heads = ["HEAD"] if "GET" in self.endpoints and "GET" not in self.streams else []
        return sorted([*self.endpoints, *heads])


def paths_of(endpoints: Iterable[tuple[str, str, Endpoint]], streams: Iterable[tuple[str, Endpoint]] = ()) -> Any:
    """Return path templates with their endpoints, from (method, template, endpoint); `streams` are GET without HEAD."""
    paths: dict[str, Path] = {}
    for method, template, endpoint in endpoints:
        paths.setdefault(template, Path()).endpoints[method] = endpoint
    for template, endpoint in streams:
        path = paths.setdefault(template, Path())
        path.endpoints["GET"] = endpoint
        path.streams.add("GET")
    return paths.items()


def _ok(_call: RequestCall, fields: dict[str, Any]) -> Answer:
    return Answer(200, fields)


def _created(_call: RequestCall, fields: dict[str, Any]) -> Answer:
    return Answer(201, fields)


def _accepted(_call: RequestCall, fields: dict[str, Any]) -> Answer:
    return Answer(202, fields)


def _no_content(_call: RequestCall, _fields: dict[str, Any]) -> Answer:
    return Answer(204)


def _session(_call: RequestCall, fields: dict[str, Any]) -> Answer:
    return Answer(200, fields, [(b"etag", request_headers.etag(fields["session"]["seq"]))])


def _started(call: RequestCall, fields: dict[str, Any]) -> Answer:
    location: RawHeader = (b"location", b"/v1/sessions/" + fields["session"]["id"].encode())
    return Answer(201 if call.created else 200, fields, [location])


SESSION = "/v1/sessions/{session_id}"
MESSAGES = f"{SESSION}/messages"
MESSAGE = f"{MESSAGES}/{{message_id}}"
CHATBOT = f"{SESSION}/chatbots/{{chatbot_id}}"

ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/sessions",
        "start_chat",
        _started,
        "Start a session",
        (201, 200),
        has_body=True,
        key="client_request_id",
    ),
    Route("GET", "/v1/sessions", "list_chats", _ok, "List your sessions, newest activity first"),
    Route("GET", SESSION, "get_session", _session, "Read a session, with your read mark"),
    Route(
        "PATCH",
        SESSION,
        "update_chat",
        _session,
        "Change the title or the reply policy",
        has_body=True,
        conditional=True,
    ),
    Route("DELETE", SESSION, "delete_chat", _no_content, "Delete a session", (204,), conditional=True),
    Route(
        "POST",
        MESSAGES,
        "send_message",
        _accepted,
        "Send a message, and with `Prefer: wait=N` wait for the replies",
        (202, 200),
        has_body=True,
        key="client_message_id",
    ),
    Route("GET", MESSAGES, "get_messages", _ok, "Read a page of messages"),
    Route("GET", MESSAGE, "get_message", _ok, "Read one message"),
    Route("GET", f"{SESSION}/changes", "join_chat", _ok, "Read the newest messages, or all changes after a number"),
    Route("PATCH", MESSAGE, "edit_message", _no_content, "Edit your last message", (204,), has_body=True),
    Route("POST", f"{MESSAGE}/stop", "stop_reply", _no_content, "Stop a reply in progress", (204,)),
    Route("POST", f"{MESSAGE}/regenerate", "regenerate_reply", _ok, "Request another reply in place of this one"),
    Route("PUT", f"{MESSAGE}/rating", "rate_reply", _no_content, "Rate a reply", (204,), has_body=True),
    Route("PUT", f"{SESSION}/read", "mark_read", _no_content, "Set your read mark", (204,), has_body=True),
    Route("POST", f"{SESSION}/invites", "create_invite", _created, "Create an invite", (201,), has_body=True),
    Route("POST", "/v1/invites/accept", "accept_invite", _ok, "Accept an invite", has_body=True),
    Route(
        "DELETE",
        f"{SESSION}/users/{{user_id}}",
        "remove_user",
        _no_content,
        "Remove a member, or leave (`@me`)",
        (204,),
        oneself="leave_session",
    ),
    Route("PUT", CHATBOT, "add_chatbot", _ok, "Add a chatbot to a session"),
    Route("DELETE", CHATBOT, "remove_chatbot", _ok, "Remove a chatbot from a session"),
    Route("GET", "/v1/search", "search_messages", _ok, "Search messages"),
    Route("GET", "/v1/chatbots", "list_chatbots", _ok, "List the chatbots"),
)

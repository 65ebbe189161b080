"""The public ASGI app: `GET /`, the page, Socket.IO at `/socket.io/` and the API below `/v1`.

Refusals are problem documents.
"""

from __future__ import annotations

import random
from urllib.parse import parse_qs

import socketio
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from chat_gateway.domain import origins
from chat_gateway.http import page as web_page
from chat_gateway.http.frame_refusals import FrameRefusals
from chat_gateway.http.response_headers import ResponseHeaders
from chat_gateway.protocol import asyncapi
from chat_gateway.settings import GatewaySettings
from chat_gateway.sockets.server import SocketServer
from shared import __version__
from shared.errors import BackchatError, Forbidden, MethodNotAllowed, RateLimited, Unavailable
from shared.http import openapi
from shared.http.forwarded_headers import TrustedProxies
from shared.http.problems import plain_app, problem

SOCKET_PATHS = ("/socket.io/", "/socket.io")
API_PREFIX = b"/v1/"
SOCKET_METHODS = ("GET", "POST", "OPTIONS")


async def _description(_request: Request) -> Response:
    return JSONResponse(asyncapi.document(), headers={"Cache-Control": "no-cache"})


async def _openapi(_request: Request) -> Response:
    return JSONResponse(openapi.document(), headers={"Cache-Control": "no-cache"})


class PublicApp:
    """All routes of a gateway that clients can reach."""

    def __init__(self, server: SocketServer, api: ASGIApp, settings: GatewaySettings) -> None:
        self._api = api
        framing = (*settings.frame_ancestors, *settings.allowed_origins)
        refusals = FrameRefusals(framing, TrustedProxies(settings.trusted_proxies))
        self._page = web_page.find(settings.page_dir, settings.frame_ancestors, refusals)
        routes = [
            Route("/", self._root, methods=["GET"]),
            Route("/asyncapi.json", _description, methods=["GET"]),
            Route("/openapi.json", _openapi, methods=["GET"]),
            *([Route(path, self._page) for path in ("/chat", "/chat/{path:path}")] if self._page else []),
        ]
        self._pages: ASGIApp = ResponseHeaders(plain_app(routes))
        self._sockets: ASGIApp = ResponseHeaders(Sockets(server, settings, self))
        self.stopping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route by the path."""
        if scope["type"] == "http" and scope["raw_path"].startswith(API_PREFIX):
            await self._api(scope, receive, send)
            return
        to_sockets = scope["type"] in ("http", "websocket") and scope["path"] in SOCKET_PATHS
        await (self._sockets if to_sockets else self._pages)(scope, receive, send)

    async def _root(self, request: Request) -> Response:
        if self._page and web_page.prefers_html(request.headers.get("accept", "")):
            return RedirectResponse(web_page.PREFIX, 303, headers={"Vary": "Accept"})
        content = {"name": "backchat", "message": "Backchat is running", "version": __version__}
        return JSONResponse(content, headers={"Vary": "Accept"})


class Sockets:
    """Socket.IO, after the checks of method, origin and admission."""

    def __init__(self, server: SocketServer, settings: GatewaySettings, public: PublicApp) -> None:
        self._server = server
        self._app: ASGIApp = socketio.ASGIApp(server, socketio_path=None)
        self._proxies = TrustedProxies(settings.trusted_proxies)
        self._origins = frozenset(settings.allowed_origins)
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it to the Socket.IO server."""
        refusal = self._refusal(scope)
        if refusal is not None:
            reason, error = refusal
            self._server.sessions_refused.labels(reason).inc()
            await _refuse(error, scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[str, BackchatError] | None:
        """Return why a request is refused (a label of the metric) with the error, or `None`."""
        if scope.get("method", "GET") not in SOCKET_METHODS:
            return "method", MethodNotAllowed()
        origin = Headers(scope=scope).get("origin")
        if origin is not None and not origins.is_allowed(origin, self._origins, *self._proxies.origin_seen(scope)):
            return "origin", Forbidden("Pages of this origin may not connect.")
        if "sid" in parse_qs(scope.get("query_string", b"").decode("latin-1")):
            return None
        no_room = Unavailable("This gateway accepts no connections now.", retry_after=random.uniform(1, 3))  # noqa: S311
        if self._public.stopping:
            return "stopping", no_room
        admission = self._server.admission
        reason = admission.refusal(admission.source(scope))
        if reason == "crowded":
            return reason, RateLimited("Too many connections from this address.", retry_after=random.uniform(5, 15))  # noqa: S311
        return (reason, no_room) if reason else None


async def _refuse(error: BackchatError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a problem document. Without a session, a stock client retries a 503 automatically, with jitter."""
    refusal = problem(error, {"Allow": ", ".join(SOCKET_METHODS)} if isinstance(error, MethodNotAllowed) else None)
    if scope["type"] == "http":
        await refusal(scope, receive, send)
    elif "websocket.http.response" in scope.get("extensions", {}):
        headers = refusal.raw_headers
        await send({"type": "websocket.http.response.start", "status": refusal.status_code, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": refusal.body})
    else:
        await send({"type": "websocket.close", "code": 1013})

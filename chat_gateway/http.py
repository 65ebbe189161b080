"""The gateway's HTTP: `GET /`, and Socket.IO below `/socket.io/`."""

from __future__ import annotations

import random
from urllib.parse import parse_qs

import socketio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from chat_gateway import asyncapi
from chat_gateway.server import SocketServer
from chat_gateway.wire import cut_if_unread
from shared import __version__
from shared.errors import Unavailable
from shared.runtime.http import plain_app, problem

SOCKET_PATH = "/socket.io"


async def _root(_request: Request) -> Response:
    return JSONResponse({"name": "backchat", "message": "Backchat is running", "version": __version__})


async def _description(_request: Request) -> Response:
    return JSONResponse(asyncapi.document(), headers={"Cache-Control": "no-cache"})


class PublicApp:
    """Everything that a client may reach at a gateway."""

    def __init__(self, server: SocketServer) -> None:
        self._server = server
        self._sockets: ASGIApp = socketio.ASGIApp(server, socketio_path=None)
        self._pages: ASGIApp = plain_app(
            [Route("/", _root, methods=["GET"]), Route("/asyncapi.json", _description, methods=["GET"])]
        )
        self.stopping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route by the raw path; a new session is opened only where there is room for it."""
        path = scope.get("path", "")
        if scope["type"] == "lifespan" or not (path == SOCKET_PATH or path.startswith(SOCKET_PATH + "/")):
            await self._pages(scope, receive, send)
        elif reason := self._refuses(scope):
            self._server.turned_away.labels(reason).inc()
            await _refuse(scope, receive, send)
        else:
            await self._sockets(scope, receive, send)
            if scope["type"] == "http":
                cut_if_unread(send, self._server.eio.read_within)

    def _refuses(self, scope: Scope) -> str | None:
        """Why this request opens no session, if it wants one. Clients of a stopping gateway go elsewhere."""
        if "sid" in parse_qs(scope.get("query_string", b"").decode("latin-1")):
            return None
        if self.stopping:
            return "stopping"
        address = (scope.get("client") or ("",))[0]
        return "full" if self._server.admission.is_full(address) else None


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """503 before there is a session: a stock client then tries again by itself, with jitter."""
    refusal = problem(Unavailable("No more connections just now.", retry_after=random.uniform(1, 3)))  # noqa: S311
    if scope["type"] == "http":
        await refusal(scope, receive, send)
    elif "websocket.http.response" in scope.get("extensions", {}):
        headers = refusal.raw_headers
        await send({"type": "websocket.http.response.start", "status": refusal.status_code, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": refusal.body})
    else:
        await send({"type": "websocket.close", "code": 1013})

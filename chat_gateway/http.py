"""The gateway's HTTP: `GET /`, and Socket.IO below `/socket.io/`."""

from __future__ import annotations

from urllib.parse import parse_qs

import socketio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from shared import __version__
from shared.errors import Unavailable
from shared.runtime.http import plain_app, problem

SOCKET_PATH = "/socket.io"


async def _root(_request: Request) -> Response:
    return JSONResponse({"name": "backchat", "message": "Backchat is running", "version": __version__})


class PublicApp:
    """Everything that a client may reach at a gateway."""

    def __init__(self, server: socketio.AsyncServer) -> None:
        self._sockets: ASGIApp = socketio.ASGIApp(server, socketio_path=None)
        self._pages: ASGIApp = plain_app([Route("/", _root, methods=["GET"])])
        self.stopping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route by the raw path. A stopping gateway opens no new session, so that clients go elsewhere."""
        path = scope.get("path", "")
        if scope["type"] == "lifespan" or not (path == SOCKET_PATH or path.startswith(SOCKET_PATH + "/")):
            await self._pages(scope, receive, send)
        elif self.stopping and "sid" not in parse_qs(scope.get("query_string", b"").decode("latin-1")):
            await self._refuse(scope, receive, send)
        else:
            await self._sockets(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1012})
        else:
            await problem(Unavailable(retry_after=1.0))(scope, receive, send)

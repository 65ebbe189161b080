"""Answers HEAD like GET, without the body, on paths where GET only reads (RFC 9110, section 9.3.2)."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

READ_ONLY = frozenset({"/me", "/me/logins", "/oidc/provider", "/.well-known/jwks.json", "/openapi.json", "/docs"})


class HeadRequests:
    """Serves HEAD by GET (pure ASGI), except where GET is expensive: exports and logins through a provider."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; drop the body of the response to HEAD."""
        if scope["type"] != "http" or scope["method"] != "HEAD" or scope["path"] not in READ_ONLY:
            await self._app(scope, receive, send)
            return

        async def bodiless(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app({**scope, "method": "GET"}, receive, bodiless)

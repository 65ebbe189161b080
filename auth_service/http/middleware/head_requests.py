"""HEAD where GET only reads: the same answer without its body (RFC 9110, section 9.3.2); elsewhere it is refused."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

READ_ONLY = frozenset({"/me", "/me/logins", "/oidc/provider", "/.well-known/jwks.json", "/openapi.json", "/docs"})


class HeadRequests:
    """Serves HEAD by GET (pure ASGI); an export or a provider's login is too much to do for nobody to read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; of the answer to a HEAD everything but the body."""
        if scope["type"] != "http" or scope["method"] != "HEAD" or scope["path"] not in READ_ONLY:
            await self._app(scope, receive, send)
            return

        async def bodiless(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app({**scope, "method": "GET"}, receive, bodiless)

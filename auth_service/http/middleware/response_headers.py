"""Security headers of all responses, and CORS headers for configured origins (pure ASGI)."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http import exposed_headers
from shared.http.forwarded_headers import TrustedProxies

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
STRICT_TRANSPORT = "max-age=31536000"  # seconds; only sent over TLS
METHODS = "GET, POST, PUT, DELETE"
REQUEST_HEADERS = "Authorization, Content-Type"
EXPOSED = "Retry-After, WWW-Authenticate"
PREFLIGHT_MAX_AGE = "600"  # seconds


class ResponseHeaders:
    """Adds the headers of `SECURITY` that a response does not set itself, and CORS headers for allowed origins."""

    def __init__(self, app: ASGIApp, allowed_origins: Collection[str], proxies: TrustedProxies) -> None:
        """Take origins as in `https://chat.example.org`; without any, there are no CORS headers."""
        self._app = app
        self._origins = frozenset(allowed_origins)
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight of an allowed origin; pass other requests on and complete their responses."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Headers(scope=scope)
        origin = request.get("origin", "").lower()
        allowed = origin if origin in self._origins else None

        async def completed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                self._complete(headers, allowed, in_api=scope["path"].startswith("/v1/"))
                if self._proxies.origin_seen(scope)[0] == "https":
                    headers.setdefault("Strict-Transport-Security", STRICT_TRANSPORT)
            await send(message)

        if allowed and scope["method"] == "OPTIONS" and "access-control-request-method" in request:
            await _preflight()(scope, receive, completed)
        else:
            await self._app(scope, receive, completed)

    def _complete(self, headers: MutableHeaders, allowed: str | None, *, in_api: bool) -> None:
        for name, value in SECURITY.items():
            headers.setdefault(name, value)
        if self._origins:
            headers.add_vary_header("Origin")
        if allowed:
            headers["Access-Control-Allow-Origin"] = allowed
            headers["Access-Control-Expose-Headers"] = exposed_headers.EXPOSED if in_api else EXPOSED


def _preflight() -> Response:
    return Response(
        status_code=204,
        headers={
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": REQUEST_HEADERS,
            "Access-Control-Max-Age": PREFLIGHT_MAX_AGE,
        },
    )

"""What every answer of the gateway's HTTP says to browsers (pure ASGI).

The page at `/chat/` shows what people and chatbots wrote, so nothing runs there but its own files: no inline
script or style, no plugin, no foreign base, no string that becomes script (trusted types).
`Strict-Transport-Security` is the edge's, which alone knows whether there is TLS.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Permitted-Cross-Domain-Policies": "none",
}
PERMISSIONS = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"
NO_PAGE_POLICY = "default-src 'none'; frame-ancestors 'none'"


def page_policy(frame_ancestors: Iterable[str]) -> str:
    """The content security policy of a page; `frame_ancestors` are the origins that may show it in a frame."""
    return "; ".join(
        (
            "default-src 'self'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            " ".join(("frame-ancestors 'self'", *frame_ancestors)),
            "require-trusted-types-for 'script'",
        )
    )


class ResponseHeaders:
    """Adds what an answer does not set itself: `SECURITY`, and a policy by whether it is a page."""

    def __init__(self, app: ASGIApp, frame_ancestors: Iterable[str] = ()) -> None:
        self._app = app
        self._page_policy = page_policy(frame_ancestors)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and complete the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def completed(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._complete(MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive, completed)

    def _complete(self, headers: MutableHeaders) -> None:
        for name, value in SECURITY.items():
            headers.setdefault(name, value)
        if headers.get("content-type", "").startswith("text/html"):
            headers.setdefault("Content-Security-Policy", self._page_policy)
            headers.setdefault("Permissions-Policy", PERMISSIONS)
        else:
            headers.setdefault("Content-Security-Policy", NO_PAGE_POLICY)

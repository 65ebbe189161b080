"""Pages keep their refresh token in a cookie that no script can read.

A request with the header `X-Backchat-Session: cookie` asks for it. The cookie goes to `/refresh` alone, never from
another site, and only a page of an allowed origin gets and uses it. All other clients see nothing of this.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from fastapi import Request
from starlette.responses import Response

from auth_service.domain.logins import Tokens
from shared.errors import Forbidden
from shared.runtime.forwarded import TrustedProxies

HEADER, ASKED = "X-Backchat-Session", "cookie"
NAME = "backchat_refresh"
PATH = "/refresh"


class SessionCookies:
    """Gives, reads and clears the cookie."""

    def __init__(self, proxies: TrustedProxies, allowed_origins: Collection[str]) -> None:
        """`allowed_origins` as in `https://chat.example.org`; empty: the one that the request was made to."""
        self._proxies = proxies
        self._allowed = frozenset(allowed_origins)

    def asked(self, request: Request) -> bool:
        """Whether this request wants the cookie form.

        Raises:
            Forbidden: it does, and comes from no page of an allowed origin.
        """
        if request.headers.get(HEADER, "").lower() != ASKED:
            return False
        if not self._is_allowed(request):
            raise Forbidden("This page may not log in here.")
        return True

    def read(self, request: Request) -> str | None:
        """The refresh token in the cookie."""
        return request.cookies.get(NAME)

    def give(self, request: Request, response: Response, tokens: Tokens) -> None:
        """Let the answer set the cookie."""
        response.set_cookie(
            NAME,
            tokens.refresh_token,
            max_age=tokens.refresh_expires_in,
            path=PATH,
            secure=self._is_secure(request),
            httponly=True,
            samesite="strict",
        )

    def clear(self, request: Request, response: Response) -> None:
        """Let the answer remove the cookie; to a client that has none it says nothing."""
        if request.headers.get(HEADER, "").lower() == ASKED:
            response.delete_cookie(NAME, path=PATH, secure=self._is_secure(request), httponly=True, samesite="strict")

    def _is_allowed(self, request: Request) -> bool:
        origin = request.headers.get("origin", "").lower()
        scheme, host = self._proxies.origin_seen(request.scope)
        theirs = urlsplit(origin)
        own = theirs.scheme in ((scheme,) if scheme else ("http", "https")) and bool(host) and theirs.netloc == host
        return origin in self._allowed or (own and not theirs.path)

    def _is_secure(self, request: Request) -> bool:
        """Browsers take a secure cookie over TLS only; behind a proxy the page's own origin tells."""
        scheme, _ = self._proxies.origin_seen(request.scope)
        return scheme == "https" or (scheme is None and request.headers.get("origin", "").lower().startswith("https:"))

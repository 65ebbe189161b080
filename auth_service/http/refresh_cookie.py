"""The cookie in which pages keep their refresh token, unreadable for scripts.

A page requests it with the header `X-Backchat-Session: cookie`. Browsers send the cookie only to `/refresh` and never
from another site; only pages of allowed origins receive and use it. Other clients are not affected.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from fastapi import Request
from starlette.responses import Response

from auth_service.domain.logins import Tokens
from shared.errors import Forbidden
from shared.http.forwarded_headers import TrustedProxies

HEADER, COOKIE_FORM = "X-Backchat-Session", "cookie"
NAME = "backchat_refresh"
PATH = "/refresh"


class RefreshCookies:
    """Sets, reads and clears the cookie."""

    def __init__(self, proxies: TrustedProxies, allowed_origins: Collection[str]) -> None:
        """Take origins as in `https://chat.example.org`; none means the origin of the request itself."""
        self._proxies = proxies
        self._allowed = frozenset(allowed_origins)

    def is_requested(self, request: Request) -> bool:
        """Return whether a request asks for the cookie.

        Raises:
            Forbidden: it does, but does not come from a page of an allowed origin.
        """
        if request.headers.get(HEADER, "").lower() != COOKIE_FORM:
            return False
        if not self._is_allowed(request):
            raise Forbidden("Pages of this origin may not log in here.")
        return True

    def read(self, request: Request) -> str | None:
        """Return the refresh token in the cookie."""
        return request.cookies.get(NAME)

    def set(self, request: Request, response: Response, tokens: Tokens) -> None:
        """Add the cookie to a response."""
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
        """Remove the cookie with a response, if the request asked for the cookie."""
        if request.headers.get(HEADER, "").lower() == COOKIE_FORM:
            response.delete_cookie(NAME, path=PATH, secure=self._is_secure(request), httponly=True, samesite="strict")

    def _is_allowed(self, request: Request) -> bool:
        origin = request.headers.get("origin", "").lower()
        scheme, host = self._proxies.origin_seen(request.scope)
        theirs = urlsplit(origin)
        own = theirs.scheme in ((scheme,) if scheme else ("http", "https")) and bool(host) and theirs.netloc == host
        return origin in self._allowed or (own and not theirs.path)

    def _is_secure(self, request: Request) -> bool:
        """Return whether to set `Secure`. Behind a proxy that sends no scheme, the page's `Origin` decides."""
        scheme, _ = self._proxies.origin_seen(request.scope)
        return scheme == "https" or (scheme is None and request.headers.get("origin", "").lower().startswith("https:"))

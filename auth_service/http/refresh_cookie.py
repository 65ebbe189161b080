"""The cookie in which pages keep their refresh token, unreadable for scripts.

A page requests it with the header `X-Backchat-Session: cookie`. Browsers send the cookie only to `/refresh` and never
from another site; only pages of allowed origins receive and use it. Other clients are not affected.
"""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from auth_service.domain.logins import Tokens
from auth_service.http.origins import AllowedOrigins
from shared.errors import Forbidden

HEADER, COOKIE_FORM = "X-Backchat-Session", "cookie"
NAME = "backchat_refresh"
PATH = "/refresh"


class RefreshCookies:
    """Sets, reads and clears the cookie."""

    def __init__(self, origins: AllowedOrigins) -> None:
        self._origins = origins

    def is_requested(self, request: Request) -> bool:
        """Return whether a request asks for the cookie.

        Raises:
            Forbidden: it does, but does not come from a page of an allowed origin.
        """
        if request.headers.get(HEADER, "").lower() != COOKIE_FORM:
            return False
        if not self._origins.includes(request):
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

    def _is_secure(self, request: Request) -> bool:
        """Return whether to set `Secure`. Behind a proxy that sends no scheme, the page's `Origin` decides."""
        scheme = self._origins.scheme_seen(request)
        return scheme == "https" or (scheme is None and request.headers.get("origin", "").lower().startswith("https:"))

"""Origins of browser pages: those whose pages may use the routes that read no cookie, and the refresh cookie."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI, Request

from shared.errors import Forbidden
from shared.http.forwarded_headers import TrustedProxies


class AllowedOrigins:
    """Compares the `Origin` header of a request with the configured origins and with its own one."""

    def __init__(self, proxies: TrustedProxies, allowed_origins: Collection[str]) -> None:
        """Take origins as in `https://chat.example.org`; none means the origin of the request itself."""
        self._proxies = proxies
        self._allowed = frozenset(allowed_origins)

    def includes(self, request: Request) -> bool:
        """Return whether a request comes from a page of an allowed origin."""
        origin = request.headers.get("origin", "").lower()
        scheme, host = self._proxies.origin_seen(request.scope)
        theirs = urlsplit(origin)
        own = theirs.scheme in ((scheme,) if scheme else ("http", "https")) and bool(host) and theirs.netloc == host
        return origin in self._allowed or (own and not theirs.path)

    def scheme_seen(self, request: Request) -> str | None:
        """Return the scheme that the client used, if a proxy or the server knows it."""
        return self._proxies.origin_seen(request.scope)[0]


def allow_origins(app: FastAPI, origins: AllowedOrigins) -> None:
    """Set the origins whose pages may use an app."""
    app.state.origins = origins


def _check_origin(request: Request) -> None:
    """Refuse a page of another origin before anything is done.

    Raises:
        Forbidden: the request has an `Origin` that is not allowed.
    """
    origins: AllowedOrigins = request.app.state.origins
    if "origin" in request.headers and not origins.includes(request):
        raise Forbidden("Pages of this origin may not do this.")


FromAllowedOrigin = Depends(_check_origin)

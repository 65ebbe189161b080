"""Origins: which web pages may open a socket (contract.md §3.1). Pure.

Browsers send the page's origin and a page cannot change it; a client without an origin is not a browser. There is no
cookie that a foreign page could use. The check prevents that such a page uses a stolen token, or our connections.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443}


def is_allowed(origin: str, allowed: Collection[str], scheme: str | None, host: str) -> bool:
    """Return whether a page of this origin may open a socket.

    `allowed` are origins in lower case. If it is empty, only our own origin is allowed: the `host` (with port) and
    `scheme` of the request, or any scheme if `scheme` is `None` (unknown). A page loaded by TLS is allowed where the
    request has `http`, because a proxy may have terminated TLS; a page loaded by `http` is not allowed on `https`.
    """
    origin = origin.lower()
    if allowed:
        return origin in allowed
    theirs = _place(origin)
    seen = scheme if scheme == "https" else origin.partition(":")[0]
    return theirs is not None and theirs == _place(f"{seen}://{host}")


def may_frame(origin: str, ancestors: Collection[str], scheme: str | None, host: str) -> bool:
    """Return whether a page of this origin may show the compact page in a frame: `ancestors` and our own origin."""
    return origin.lower() in ancestors or is_allowed(origin, (), scheme, host)


def is_origin(text: str) -> bool:
    """Return whether a text is the origin of a web page."""
    return _place(text.lower()) is not None


def _place(origin: str) -> tuple[str, str, int] | None:
    """Return scheme, host and port, or `None` if the text is not an origin (`null`, a path, user information)."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in PORTS or not parts.hostname or "@" in parts.netloc or parts.path or parts.query:
        return None
    return parts.scheme, parts.hostname, PORTS[parts.scheme] if port is None else port

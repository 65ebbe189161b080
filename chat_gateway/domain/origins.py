"""Origins: which web pages may open a socket (contract §3). Pure.

Browsers name the page's origin and cannot be made to lie; whoever names none is no browser. There is no cookie
that a foreign page could ride on: this keeps it from using a token that it got hold of, and our connections.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443}


def is_allowed(origin: str, allowed: Collection[str], scheme: str | None, host: str) -> bool:
    """Whether a page of that origin may come in.

    `allowed` are origins in lower case; if there are none, only our own is: the `host` (with port) and `scheme`
    that the client used, where `None` is a scheme that nobody can tell. A page that came by TLS is as good where we
    see none, because somebody in front may have taken it away; the other way round it is not.
    """
    origin = origin.lower()
    if allowed:
        return origin in allowed
    theirs = _place(origin)
    seen = scheme if scheme == "https" else origin.partition(":")[0]
    return theirs is not None and theirs == _place(f"{seen}://{host}")


def _place(origin: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; `None` for what is no origin (`null`, a path, user information)."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in PORTS or not parts.hostname or "@" in parts.netloc or parts.path or parts.query:
        return None
    return parts.scheme, parts.hostname, PORTS[parts.scheme] if port is None else port

"""Which pages may open a socket."""

from __future__ import annotations

import pytest

from chat_gateway.domain.origins import is_allowed


@pytest.mark.parametrize(
    ("origin", "scheme", "host", "allowed"),
    [
        ("http://chat.example", None, "chat.example", True),
        ("https://chat.example", None, "chat.example", True),  # a proxy that we do not know may do the TLS
        ("https://chat.example", "https", "chat.example", True),
        ("http://chat.example", "https", "chat.example", False),
        ("https://chat.example", "http", "chat.example", True),  # proxies may report different schemes
        ("http://chat.example", "http", "chat.example", True),
        ("HTTPS://Chat.Example", "https", "chat.example", True),
        ("https://chat.example", "https", "chat.example:443", True),
        ("http://chat.example:80", None, "chat.example", True),
        ("http://chat.example:8080", None, "chat.example:8080", True),
        ("http://chat.example:8080", None, "chat.example", False),
        ("http://chat.example", None, "chat.example:8080", False),
        ("http://[::1]:8000", None, "[::1]:8000", True),
        ("https://chat.example.evil.example", None, "chat.example", False),
        ("https://evilchat.example", None, "chat.example", False),
        ("https://chat.example@evil.example", None, "chat.example", False),
        ("https://evil.example/chat.example", None, "chat.example", False),
        ("https://chat.example/", None, "chat.example", False),
        ("null", None, "chat.example", False),
        ("", None, "", False),
        ("null", None, "", False),
        ("http://", None, "", False),
        ("file://", None, "", False),
        ("ftp://chat.example", None, "chat.example", False),
        ("http://chat.example:99999", None, "chat.example", False),
        ("http://[::1", None, "[::1", False),
        ("http://chat.example", None, "chat.example/x", False),
    ],
)
def test_only_our_own_origin_is_allowed_by_default(
    origin: str, scheme: str | None, host: str, *, allowed: bool
) -> None:
    """Scheme, host and port as the client used them; default ports may be left out."""
    assert is_allowed(origin, (), scheme, host) is allowed


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://chat.example", True),
        ("https://CHAT.example", True),
        ("http://chat.example", False),
        ("https://chat.example:8443", False),
        ("https://own.example", False),
        ("null", False),
        ("*", False),
    ],
)
def test_configured_list_replaces_our_own_origin(origin: str, *, allowed: bool) -> None:
    assert is_allowed(origin, frozenset({"https://chat.example"}), "https", "own.example") is allowed

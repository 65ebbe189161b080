"""The client address for rate limits cannot be forged (ASVS 4.1.3)."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from shared.http.forwarded_headers import TrustedProxies, address_block
from shared.runtime.settings import CommonSettings

PROXIES = ("10.0.0.0/8", "192.0.2.7", "fd00::/8")


def scope(peer: str | None, *headers: tuple[bytes, bytes], scheme: str = "http") -> dict[str, Any]:
    return {"client": (peer, 1234) if peer is not None else None, "headers": list(headers), "scheme": scheme}


def chain(peer: str, *lines: str) -> dict[str, Any]:
    return scope(peer, *((b"x-forwarded-for", line.encode("latin-1")) for line in lines))


@pytest.mark.parametrize(
    ("peer", "lines", "client"),
    [
        ("203.0.113.9", (), "203.0.113.9"),
        ("203.0.113.9", ("198.51.100.1",), "203.0.113.9"),  # the header of an untrusted proxy is ignored
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        ("10.0.0.1", ("1.1.1.1, 198.51.100.1",), "198.51.100.1"),  # the left part was written by the client
        ("10.0.0.1", ("1.1.1.1", "198.51.100.1"), "198.51.100.1"),  # also on a separate line
        ("10.0.0.1", ("198.51.100.1, 192.0.2.7, 10.9.9.9",), "198.51.100.1"),
        ("10.0.0.1", ("10.0.0.3, 10.0.0.2",), "10.0.0.3"),
        ("10.0.0.1", ("198.51.100.1, nonsense, 10.0.0.2",), "10.0.0.2"),
        ("10.0.0.1", ("nonsense",), "10.0.0.1"),
        ("10.0.0.1", ("",), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.1:4711",), "198.51.100.1"),
        ("10.0.0.1", ("[2001:db8::1]:4711",), "2001:db8::1"),
        ("fd00::1", ("2001:DB8:0::1",), "2001:db8::1"),
        ("::ffff:10.0.0.1", ("::ffff:198.51.100.1",), "198.51.100.1"),
        ("10.0.0.1", ("1" * 5_000,), "10.0.0.1"),
        ("10.0.0.1", (", ".join(["10.0.0.2"] * 5_000),), "10.0.0.2"),
        ("testclient", ("198.51.100.1",), "testclient"),
    ],
)
def test_client_is_the_rightmost_address_that_is_no_trusted_proxy(
    peer: str, lines: tuple[str, ...], client: str
) -> None:
    assert TrustedProxies(PROXIES).client(chain(peer, *lines)) == client


def test_headers_are_ignored_without_trusted_proxies() -> None:
    assert TrustedProxies().client(chain("127.0.0.1", "198.51.100.1")) == "127.0.0.1"
    assert TrustedProxies().client(scope(None)) == ""


def test_origin_is_read_from_trusted_proxies_only() -> None:
    """From other peers the host is that of the request, and the scheme is known only if this process ends TLS."""
    forwarded = ((b"host", b"backend:8000"), (b"x-forwarded-proto", b"https"), (b"x-forwarded-host", b"Chat.Example"))
    proxies = TrustedProxies(PROXIES)
    assert proxies.origin_seen(scope("10.0.0.1", *forwarded)) == ("https", "chat.example")
    assert proxies.origin_seen(scope("203.0.113.9", *forwarded)) == (None, "backend:8000")
    assert proxies.origin_seen(scope("203.0.113.9", *forwarded, scheme="wss")) == ("https", "backend:8000")
    assert proxies.origin_seen(scope("10.0.0.1", (b"x-forwarded-proto", b"evil"))) == (None, "")


def test_addresses_of_an_ipv6_network_are_one_block() -> None:
    """A customer with one IPv6 address has 2^64 of them."""
    assert address_block("2001:db8:0:1::1") == address_block("2001:db8:0:1:ffff::2") != address_block("2001:db8:0:2::1")
    assert address_block("198.51.100.1") == "198.51.100.1"
    assert address_block("") == ""


def test_trusted_proxies_are_a_list_of_networks() -> None:
    assert CommonSettings(trusted_proxies="10.0.0.0/8, 192.0.2.7,").trusted_proxies == ("10.0.0.0/8", "192.0.2.7")
    with pytest.raises(ValidationError, match="not an address or network"):
        CommonSettings(trusted_proxies="the-edge")

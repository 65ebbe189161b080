"""Who a request comes from, and what origin it was made to, when proxies stand in between.

`X-Forwarded-*` is what a peer says, so only the proxies that the operator names (`BACKCHAT_TRUSTED_PROXIES`) are
believed, and of the chain that they pass on only what they themselves have added: from the right, up to the first
address that is none of theirs. Whatever stands further left was written by somebody we know nothing about.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import Scope

HOPS_MAX = 16  # proxies in a row that are looked at

Address = IPv4Address | IPv6Address


class TrustedProxies:
    """The proxies whose forwarding headers are believed."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """Addresses and networks, as in `("127.0.0.1", "10.0.0.0/8", "fd00::/8")`.

        Raises:
            ValueError: one of them is neither.
        """
        self._networks = tuple(ip_network(network) for network in networks)

    def client(self, scope: Scope) -> str:
        """The address of the client, as text; empty where there is none (a Unix socket).

        That is the peer of the connection unless it is a trusted proxy; then it is the rightmost address of
        `X-Forwarded-For` that is not a trusted proxy's (the leftmost one, if all are). Anything there that is no
        address ends the search: the client is then taken for the last proxy that could be told.
        """
        peer = _address((scope.get("client") or ("",))[0])
        if peer is None:
            return str((scope.get("client") or ("",))[0])
        if self._trusts(peer):
            for hop in reversed(_values(scope, b"x-forwarded-for")[-HOPS_MAX:]):
                before = _address(hop)
                if before is None:
                    break
                peer = before
                if not self._trusts(peer):
                    break
        return str(peer)

    def origin_seen(self, scope: Scope) -> tuple[str | None, str]:
        """The scheme (`None`: not known) and the host with port that the client used, in lower case.

        Without a trusted proxy the host is the request's own, and the scheme is known only if it is `https`: a
        proxy that nobody has told us of may have taken the TLS away.
        """
        scheme, host = scope.get("scheme", "http"), _last(scope, b"host")
        found = "https" if scheme in ("https", "wss") else None
        peer = _address((scope.get("client") or ("",))[0])
        if peer is not None and self._trusts(peer):
            found = _last(scope, b"x-forwarded-proto") or found
            host = _last(scope, b"x-forwarded-host") or host
        return (found if found in ("http", "https") else None), host

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def address_block(address: str) -> str:
    """What limits are counted by: an IPv4 address itself, of an IPv6 address its /64, which is one customer's."""
    found = _address(address)
    return str(IPv6Network((found, 64), strict=False)) if isinstance(found, IPv6Address) else address


def _values(scope: Scope, name: bytes) -> list[str]:
    """The elements of a list header, of all its lines, in order."""
    lines = [value.decode("latin-1") for header, value in scope.get("headers", ()) if header == name]
    return [element.strip() for line in lines for element in line.split(",")]


def _last(scope: Scope, name: bytes) -> str:
    """The last element of a header, which the nearest proxy wrote; empty if there is none."""
    values = _values(scope, name)
    return values[-1].lower() if values else ""


def _address(text: str) -> Address | None:
    """An address as proxies write it: bare, with a port, in brackets; IPv4 in IPv6 is IPv4."""
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address

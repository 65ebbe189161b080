"""The client's address and the origin of a request that was forwarded by proxies.

Any client can send `X-Forwarded-*`, so only the proxies that the operator configured (`BACKCHAT_TRUSTED_PROXIES`) are
trusted. Of the forwarded addresses, only those are used that trusted proxies appended: from the right, up to the first
address that is not a trusted proxy. Addresses further left may be forged.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import Scope

HOPS_MAX = 16  # inspected addresses of the chain

Address = IPv4Address | IPv6Address


class TrustedProxies:
    """The proxies whose forwarding headers are trusted."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """Take addresses and networks, as in `("127.0.0.1", "10.0.0.0/8", "fd00::/8")`.

        Raises:
            ValueError: a value is neither an address nor a network.
        """
        self._networks = tuple(ip_network(network) for network in networks)

    def client(self, scope: Scope) -> str:
        """Return the client's address; empty on a Unix socket.

        It is the peer of the connection, unless that is a trusted proxy. Then it is the rightmost address in
        `X-Forwarded-For` that is not a trusted proxy, or the leftmost one if all are trusted. A value that is not an
        address ends the search; the address before it in the search is returned.
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
        """Return the scheme (`None` if unknown) and the host with port that the client used, in lower case.

        Without a trusted proxy the host is that of the request, and the scheme is only known if it is `https`: a proxy
        that is not configured may have terminated TLS.
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
    """Return the key of limits per address: an IPv4 address, or the /64 network of an IPv6 address (one customer)."""
    found = _address(address)
    return str(IPv6Network((found, 64), strict=False)) if isinstance(found, IPv6Address) else address


def _values(scope: Scope, name: bytes) -> list[str]:
    """Return the elements of a list header, of all its lines, in order."""
    lines = [value.decode("latin-1") for header, value in scope.get("headers", ()) if header == name]
    return [element.strip() for line in lines for element in line.split(",")]


def _last(scope: Scope, name: bytes) -> str:
    """Return the last element of a header, which the nearest proxy appended, in lower case; empty if there is none."""
    values = _values(scope, name)
    return values[-1].lower() if values else ""


def _address(text: str) -> Address | None:
    """Parse an address as proxies write it: plain, with a port, or in brackets; IPv4-mapped IPv6 becomes IPv4."""
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

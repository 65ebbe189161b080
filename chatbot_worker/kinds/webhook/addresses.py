"""Decides which addresses a webhook may be sent to: public ones, and those that the operator allowed. Pure.

This prevents server-side request forgery (OWASP): a name is resolved once, all its addresses are checked here, and the
connection is made to a checked address.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NAT64 = IPv6Network("64:ff9b::/96")
COMPATIBLE = IPv6Network("::/96")  # `::127.0.0.1`, deprecated, but still supported by some systems
NEVER = (  # networks that `is_global` of some Python versions reports as public
    ip_network("64:ff9b:1::/48"),  # NAT64 of one site
    ip_network("2001::/23"),  # protocol assignments, Teredo among them
    ip_network("fec0::/10"),  # site-local, deprecated
    ip_network("192.88.99.0/24"),  # 6to4 relays
    ip_network("100.64.0.0/10"),  # carrier NAT, where clouds keep their metadata services too
    ip_network("0.0.0.0/8"),
)


def permitted(address: str, allowed: Iterable[Network] = ()) -> bool:
    """Return whether a connection to `address` is permitted. An invalid address is not."""
    found = _read(address)
    return found is not None and (_public(_meant(found)) or inside(address, allowed))


def inside(address: str, networks: Iterable[Network]) -> bool:
    """Return whether `address`, or the IPv4 address embedded in it, is in one of `networks`."""
    found = _read(address)
    if found is None:
        return False
    both = (found, _meant(found))
    return any(each in network for each in both for network in networks if network.version == each.version)


def _read(address: str) -> Address | None:
    try:
        return ip_address(address.partition("%")[0])
    except ValueError:
        return None


def _public(address: Address) -> bool:
    if any(address in network for network in NEVER if network.version == address.version):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _meant(address: Address) -> Address:
    """Return the IPv4 address embedded in an IPv6 address, or else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in NAT64 or address in COMPATIBLE:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address

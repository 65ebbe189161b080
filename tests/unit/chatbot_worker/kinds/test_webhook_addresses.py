"""No webhook reaches what only this machine or its network can reach."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from chatbot_worker.kinds.webhook.addresses import inside, permitted

DENIED = [
    "127.0.0.1",
    "127.8.9.1",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "192.88.99.1",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "2001::1",
    "2001:10::1",
    "100::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:10.0.0.1",
    "::ffff:7f00:1",
    "::127.0.0.1",
    "::10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "127.1",
    "0x7f.1",
    "2130706433",
    "localhost",
    "example.com",
    "1.2.3.4/8",
    "nonsense",
]
PERMITTED = ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "172.32.0.1"]


@pytest.mark.parametrize("address", [*DENIED, ""])
def test_denied(address: str) -> None:
    assert not permitted(address)


@pytest.mark.parametrize("address", PERMITTED)
def test_permitted(address: str) -> None:
    assert permitted(address)


def test_what_the_operator_allows_may_be_reached_in_each_of_its_forms() -> None:
    """No other address is permitted."""
    allowed = [ip_network("10.1.0.0/16"), ip_network("::1/128")]
    assert all(permitted(address, allowed) for address in ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "::1"))
    assert not any(permitted(address, allowed) for address in ("10.2.0.1", "127.0.0.1", "::ffff:10.2.0.1"))
    assert not inside("1.1.1.1", allowed)

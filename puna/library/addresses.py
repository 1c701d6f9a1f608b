"""Recognises public IP addresses (IANA special-purpose registries; RFC 6890 and its updates)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_interface

_SPECIAL = [
    *map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network, unspecified
            "10.0.0.0/8",
            "100.64.0.0/10",  # shared behind a provider's NAT; Alibaba's metadata
            "127.0.0.0/8",
            "168.63.129.16/32",  # Azure's own services, on every virtual machine
            "169.254.0.0/16",  # link-local; the metadata of most clouds
            "172.16.0.0/12",
            "192.0.0.0/24",  # protocol assignments; Oracle's metadata
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    ),
    *map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: an IPv4 address inside
            "3fff::/20",  # documentation
        ),
    ),
]
_GLOBAL = IPv6Network("2000::/3")
"""Global unicast. It excludes loopback, IPv4-mapped, link-local, private and multicast addresses."""
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(text: str) -> bool:
    """Whether an address is public, and not this machine's or, in IPv6, its network's."""
    address = ip_address(text)
    if isinstance(address, IPv6Address) and address in _NAT64:
        address = IPv4Address(int(address) & 0xFFFF_FFFF)
    if isinstance(address, IPv6Address) and address not in _GLOBAL:
        return False
    return not any(address in network for network in _SPECIAL) and not any(
        address in network for network in _near()
    )


def _near() -> Iterator[IPv4Network | IPv6Network]:
    """This machine's addresses; in IPv6 its whole network, because local devices have global addresses."""
    import psutil

    width = {socket.AF_INET: 32, socket.AF_INET6: 64}
    for card in psutil.net_if_addrs().values():
        for entry in card:
            if entry.family in width:
                yield ip_interface(f"{entry.address.partition('%')[0]}/{width[entry.family]}").network

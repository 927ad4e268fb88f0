"""Which IP addresses are public: an own list, after the IANA registries of special-purpose addresses.

The libraries' lists differ by version, and what matters here is not whether an address is routed but whether it may be
somebody's inside. https://www.iana.org/assignments/iana-ipv4-special-registry and …/iana-ipv6-special-registry, as of
2024; RFC 6890.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SPECIAL_4: Final = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network, RFC 791
        "10.0.0.0/8",  # private, RFC 1918
        "100.64.0.0/10",  # shared by carriers, RFC 6598; 100.100.100.200 is a cloud's metadata
        "127.0.0.0/8",  # loopback, RFC 1122
        "168.63.129.16/32",  # a cloud's host agent, though of a public block
        "169.254.0.0/16",  # link local, RFC 3927; metadata
        "172.16.0.0/12",  # private, RFC 1918
        "192.0.0.0/24",  # protocol assignments, RFC 6890; 192.0.0.192 is a cloud's metadata
        "192.0.2.0/24",  # documentation, RFC 5737
        "192.31.196.0/24",  # AS112, RFC 7535
        "192.52.193.0/24",  # AMT, RFC 7450
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "192.168.0.0/16",  # private, RFC 1918
        "192.175.48.0/24",  # AS112, RFC 7534
        "198.18.0.0/15",  # benchmarks, RFC 2544
        "198.51.100.0/24",  # documentation, RFC 5737
        "203.0.113.0/24",  # documentation, RFC 5737
        "224.0.0.0/4",  # multicast, RFC 5771
        "240.0.0.0/4",  # reserved, and broadcast, RFC 1112, RFC 919
    )
)
_UNICAST_6: Final = ipaddress.IPv6Network("2000::/3")
"""All that IANA has given out, RFC 4291. Outside it nothing is public: loopback, local (fc00::/7, fe80::/10, and
fec0::/10 of RFC 3879), multicast, IPv4-compatible, discard (100::/64), segment routing (5f00::/16)."""
_SPECIAL_6: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, RFC 2928: Teredo (RFC 4380), ORCHID, benchmarks
        "2001:db8::/32",  # documentation, RFC 3849
        "2002::/16",  # 6to4, RFC 3056: leads to the IPv4 address inside it
        "2620:4f:8000::/48",  # AS112, RFC 7534
        "3fff::/20",  # documentation, RFC 9637
    )
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""RFC 6052: leads to the IPv4 address at its end. 64:ff9b:1::/48 (RFC 8215) leads where its owner likes: not public."""

_ALWAYS_NAMED: Final[tuple[Network, ...]] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32",
        "::/127", "fe80::/10", "fd00:ec2::254/128",
    )
)  # fmt: skip
"""This machine and clouds' metadata: a network opens them only when it is named for them, not because it is wide."""
_NEVER: Final[tuple[Network, ...]] = tuple(ipaddress.ip_network(t) for t in ("224.0.0.0/4", "240.0.0.0/4", "ff00::/8"))


def parse(text: str) -> Address | None:
    """The address, without its zone, or the IPv4 address that it stands for; None: it is none."""
    try:
        ip = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return ip.ipv4_mapped
        if ip in _NAT64:
            return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip


def is_public(ip: Address) -> bool:
    """Whether it is an ordinary address of the public internet (of ``parse``)."""
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in network for network in _SPECIAL_4)
    return ip in _UNICAST_6 and not any(ip in network for network in _SPECIAL_6)


def opened(ip: Address, networks: Iterable[Network]) -> bool:
    """Whether one of the networks, which somebody allowed on purpose, has the address."""
    if _within(ip, _NEVER):
        return False
    guard = next((g for g in _ALWAYS_NAMED if ip in g), None)
    return any(ip in network and (guard is None or network.prefixlen >= guard.prefixlen) for network in networks)


def _within(ip: Address, networks: Iterable[Network]) -> bool:
    return any(ip in network for network in networks)


def common(one: Iterable[Network], other: Iterable[Network]) -> tuple[Network, ...]:
    """What is in a network of both."""
    others = list(other)
    found = {
        max(a, b, key=lambda network: network.prefixlen)
        for a in one
        for b in others
        if a.version == b.version and a.overlaps(b)
    }
    return tuple(sorted(found, key=lambda network: (network.version, int(network.network_address), network.prefixlen)))

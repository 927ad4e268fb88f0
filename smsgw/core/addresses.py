"""Addresses: of whom a request is, when proxies stand between, and which of them count as one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
_PLAIN = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}")
"""An IPv4 address in the one way that it is written in."""
MAPPED = 96
"""Bits of IPv6 before an IPv4 address that is mapped into it."""


@lru_cache(maxsize=4096)
def parse_address(text: str) -> Address | None:
    """The address, an IPv4 one even when it came mapped into IPv6; None when it is none. Its zone is left out."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def network_of(text: str) -> Network:
    """The network that a text names, an address alone as well; an IPv4 one even when it is written mapped into IPv6,
    as no address comes so. Raises ``ValueError``, for a zone too: it says something on one machine alone."""
    if "%" in text:
        raise ValueError(text)
    network = ip_network(text, strict=False)
    mapped = parse_address(str(network.network_address))
    if isinstance(mapped, IPv4Address) and network.version == 6 and network.prefixlen >= MAPPED:
        return ip_network((mapped, network.prefixlen - MAPPED))
    return network


def within(address: str, networks: Iterable[Network]) -> bool:
    """Whether the address is in one of the networks."""
    parsed = parse_address(address)
    return parsed is not None and any(parsed in network for network in networks)


def place_of(address: str) -> str:
    """What counts as one address, for limits and logs: IPv4 whole, IPv6 by its /64, all of which one customer has;
    empty for none."""
    if _PLAIN.fullmatch(address):  # as nearly all are, and ``ipaddress`` takes its time
        return address
    return _prefix(address, 32, 64)


def site_of(address: str) -> str:
    """What is likely in one hand: of IPv4 24 bits, of IPv6 48; empty for no address."""
    return _prefix(address, 24, 48)


def _prefix(text: str, bits4: int, bits6: int) -> str:
    address = parse_address(text)
    if address is None:
        return ""
    bits = bits4 if address.version == 4 else bits6
    return str(address) if bits == address.max_prefixlen else str(ip_network((address, bits), strict=False))


def client_address(peer: str | None, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """Where a request comes from: the peer, or, behind trusted proxies, the last hop that is not one of them; empty
    when that is no address.

    ``forwarded_for`` holds the values of all ``X-Forwarded-For`` lines in their order: they are one list, whose right
    end the nearest proxy has written. It is anybody's claim unless a trusted proxy has written it.
    """
    hop = peer or ""
    if trusted and forwarded_for and within(hop, trusted):
        chain = [part.strip() for part in ",".join(forwarded_for).split(",") if part.strip()]
        while chain:
            hop = _without_port(chain.pop())
            if chain and not within(hop, trusted):
                break
    return _plain(hop)


def client_speaks_tls(peer: str | None, forwarded_proto: Sequence[str], trusted: Sequence[Network]) -> bool:
    """Whether a trusted proxy says that its client speaks TLS; the last word is that of the nearest proxy."""
    if not forwarded_proto or not within(peer or "", trusted):
        return False
    return forwarded_proto[-1].rpartition(",")[2].strip().lower() == "https"


@lru_cache(maxsize=4096)
def _plain(hop: str) -> str:
    if _PLAIN.fullmatch(hop):  # as nearly all are, and ``ipaddress`` takes its time
        return hop
    parsed = parse_address(hop)
    return "" if parsed is None else str(parsed)


def _without_port(hop: str) -> str:
    """Some proxies write ``192.0.2.1:1234`` and ``[2001:db8::1]:1234``."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def shortened(text: str) -> str:
    """An address as people are shown it who need not know whose it is: of IPv4 16 bits, of IPv6 32; what is none
    stays."""
    address = parse_address(text)
    if address is None:
        return text
    if isinstance(address, IPv4Address):
        return ".".join((*str(address).split(".")[:2], "*", "*"))
    return ":".join((*address.exploded.split(":")[:2], "*"))

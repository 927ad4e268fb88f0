"""Where a short link may lead: an ordinary page of the public web, written so that it can stand in a header."""

from __future__ import annotations

import re
from collections.abc import Collection

from yarl import URL

from smsgw.core.public_networks import is_public, parse
from smsgw.core.words import phrase

MAX_TARGET = 2000
"""Characters, once all is written in ASCII."""


# What an address is made of (RFC 3986): such a one stays as it was given, for another spelling of the same may be
# another one to whoever has signed it.
_WRITTEN = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")


def checked(text: str, own_hosts: Collection[str]) -> str:
    """The address in ASCII: as it was given when it can stand so. Raises ``ValueError`` that says what is wanted.
    ``own_hosts``: those of short links, which must not lead to each other in a circle."""
    text = text.strip()
    if not text or len(text) > MAX_TARGET or not text.isprintable() or "\\" in text or " " in text:
        raise ValueError(phrase("short_link.target", most=MAX_TARGET))
    try:
        url = URL(text)
        port = url.port
    except ValueError:
        raise ValueError(phrase("short_link.target", most=MAX_TARGET)) from None
    host = (url.raw_host or "").lower().rstrip(".")
    written = str(url.with_host(host)) if host else ""
    if (
        url.scheme not in ("http", "https") or not host or "%" in host or not port or url.raw_user is not None
        or url.raw_password is not None or len(written) > MAX_TARGET
        or not written.isascii() or not written.isprintable()
    ):  # fmt: skip
        raise ValueError(phrase("short_link.target", most=MAX_TARGET))
    if host in own_hosts:
        raise ValueError(phrase("short_link.circle"))
    if not _is_outside(host):
        raise ValueError(phrase("short_link.inside"))
    return text if _WRITTEN.fullmatch(text) else written


def _is_outside(host: str) -> bool:
    address = parse(host)
    if address is not None:
        return is_public(address)
    name, _, top = host.rpartition(".")
    # A browser reads 0x7f.1 and 2130706433 as addresses; no name of the public web ends in a number.
    return bool(name) and not _is_number(top) and top not in ("local", "localhost", "internal", "lan", "home", "arpa")


def _is_number(label: str) -> bool:
    return label.isdigit() or label.startswith("0x")


def name_of(domain: str) -> str:
    """The name of a domain of short links, which may have a port."""
    return domain.partition(":")[0]


def origin_of(domain: str) -> str:
    """Scheme and domain of a short link. Names under ``localhost`` never leave the machine (RFC 6761): no TLS there."""
    scheme = "http" if name_of(domain).endswith(".localhost") else "https"
    return f"{scheme}://{domain}"


def host_of(target: str) -> str:
    """The host of an address that was ``checked``, as people are shown it."""
    return URL(target).host or ""

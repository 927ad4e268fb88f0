"""What every answer carries and every change must show: headers, CSRF and origin checks, slowing of guessers."""

from __future__ import annotations

import hmac
import ipaddress
from collections import OrderedDict
from urllib.parse import urlsplit

from aiohttp import web

from smsgw import serving

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",  # the marks of form controls are data: images in the style sheet
        "object-src 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    )
)
HEADERS = serving.HEADERS | {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
CSRF_FIELD = "csrf"
CSRF_HEADER = "X-CSRF-Token"


def secure(response: web.StreamResponse, *, https: bool, local: bool = False) -> None:
    """Put the headers on an answer; what says nothing about caching must not be stored.

    ``local``: the browser is on this machine, whose other servers must not be pinned to TLS.
    """
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if https and not local:
        response.headers.setdefault("Strict-Transport-Security", serving.HSTS)
    response.headers.setdefault("Cache-Control", "no-store")


def same_origin(request: web.Request) -> bool:
    """Whether the request comes from our own pages, as far as the browser says.

    Browsers send ``Sec-Fetch-Site`` or at least ``Origin`` with a POST; where both are absent the CSRF token
    alone decides.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site != "same-origin":
        return False
    origin = request.headers.get("Origin")
    try:
        return origin is None or urlsplit(origin).netloc.lower() == request.host.lower()
    except ValueError:
        return False


def same_token(expected: str, given: str | None) -> bool:
    """Compare CSRF tokens in constant time; an empty one never fits."""
    return bool(expected) and hmac.compare_digest(expected.encode(), (given or "").encode("utf-8", "surrogateescape"))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


class Throttle:
    """Slows one network address down after failed logins: from the fifth failure on it must wait, doubling.

    Times are seconds on any monotonic clock. Bounded: the addresses longest unseen are forgotten first.
    """

    FREE = 4
    CEILING = 60.0
    FORGET = 900.0
    CAPACITY = 10_000

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    @staticmethod
    def key(address: str) -> str:
        """What counts as one address: IPv4 whole, IPv6 by its /64."""
        ip = _address(address)
        if ip is None:
            return address
        if isinstance(ip, ipaddress.IPv6Address):
            if ip.ipv4_mapped:
                return str(ip.ipv4_mapped)
            return str(ipaddress.IPv6Network((ip, 64), strict=False))
        return str(ip)

    def wait(self, address: str, now: float) -> float:
        """Seconds until this address may try again; 0 is now."""
        count, last = self._failures.get(self.key(address), (0, 0.0))
        if count <= self.FREE or now - last > self.FORGET:
            return 0.0
        return max(0.0, last + min(self.CEILING, 2.0 ** (count - self.FREE)) - now)

    def failed(self, address: str, now: float) -> None:
        """A login from this address failed."""
        key = self.key(address)
        count, last = self._failures.pop(key, (0, now))
        self._failures[key] = (1 if now - last > self.FORGET else count + 1, now)
        if len(self._failures) > self.CAPACITY:
            self._failures.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """A login from this address succeeded."""
        self._failures.pop(self.key(address), None)

"""What every answer carries and every change must show: headers, CSRF and origin checks."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from aiohttp import web

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
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
CSRF_FIELD = "csrf"
CSRF_HEADER = "X-CSRF-Token"


def secure(response: web.StreamResponse, *, https: bool, local: bool = False) -> None:
    """Put the headers on an answer; what says nothing about caching must not be stored.

    ``local``: the browser is on this machine, whose other servers must not be pinned to TLS.
    """
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if https and not local:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    response.headers.setdefault("Cache-Control", "no-store")


def over_tls(request: web.Request, trusted: Sequence[Network]) -> bool:
    """Whether the browser speaks TLS: with us, or with a trusted proxy before us that says so."""
    if request.secure:
        return True
    peer = _address(request.remote or "")
    if peer is None or not any(peer in network for network in trusted):
        return False
    return request.headers.get("X-Forwarded-Proto", "").lower() == "https"


def same_origin(request: web.Request) -> bool:
    """Whether the request comes from our own pages, as far as the browser says.

    Browsers send ``Sec-Fetch-Site`` or at least ``Origin`` with a POST; where both are absent the CSRF token
    alone decides.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site != "same-origin":
        return False
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc.lower() == request.host.lower()


def same_token(expected: str, given: str | None) -> bool:
    """Compare CSRF tokens in constant time; an empty one never fits."""
    return bool(expected) and hmac.compare_digest(expected.encode(), (given or "").encode())


def client_address(peer: str | None, forwarded_for: str | None, trusted: Sequence[Network]) -> str | None:
    """Where a request comes from: the peer, or, behind trusted proxies, the last hop that is not one of them.

    ``X-Forwarded-For`` is anybody's claim unless a trusted proxy has written it. None: no address.
    """
    hop = peer or ""
    chain = [part.strip() for part in (forwarded_for or "").split(",") if part.strip()]
    while chain and (parsed := _address(hop)) is not None and any(parsed in network for network in trusted):
        hop = chain.pop()
    return hop if _address(hop) else None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None

"""What every answer carries and every change must show: headers, CSRF and origin checks."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from aiohttp import web

from smsgw.web import serving

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

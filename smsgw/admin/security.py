"""What pages may load, and what every change must show: content security policy, CSRF and origin checks."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
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
CSRF_FIELD = "csrf"
CSRF_HEADER = "X-CSRF-Token"


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


def masked(token: str) -> str:
    """A CSRF token as it stands in one answer: different each time, so that compression tells nothing of it."""
    octets = token.encode()
    mask = secrets.token_bytes(len(octets))
    hidden = bytes(a ^ b for a, b in zip(octets, mask, strict=True))
    return base64.urlsafe_b64encode(mask + hidden).decode().rstrip("=")


def same_token(expected: str, given: str | None) -> bool:
    """Whether ``given`` is the token ``expected``, masked; compared in constant time. An empty one never fits."""
    return bool(expected) and hmac.compare_digest(expected.encode(), _unmasked(given or ""))


def _unmasked(given: str) -> bytes:
    try:
        octets = base64.urlsafe_b64decode(given.encode("ascii") + b"=" * (-len(given) % 4))
    except (UnicodeEncodeError, binascii.Error, ValueError):
        return b""
    half = len(octets) // 2
    return bytes(a ^ b for a, b in zip(octets[:half], octets[half:], strict=False))

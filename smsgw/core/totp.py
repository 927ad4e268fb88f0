"""Time-based one-time passwords (RFC 6238): HMAC-SHA-1, 30 seconds, 6 digits, as every authenticator app has them."""

from __future__ import annotations

import hashlib
import hmac
import struct
from urllib.parse import quote, urlencode

STEP = 30
"""Seconds."""
DIGITS = 6
DRIFT = 1
"""Steps that a clock may be off either way."""


def code_at(secret: bytes, step: int) -> str:
    """The code of a step (seconds since 1970 divided by ``STEP``), RFC 4226 section 5.3."""
    digest = hmac.digest(secret, struct.pack(">Q", step), hashlib.sha1)
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def step_of(secret: bytes, code: str, now: float, *, after: int = 0) -> int | None:
    """The step whose code this is, around ``now`` (seconds since 1970) and later than ``after``; None: of none."""
    here = int(now) // STEP
    found = None
    for step in range(here - DRIFT, here + DRIFT + 1):  # all, always: time must not tell which one
        if hmac.compare_digest(code_at(secret, step).encode(), code.encode("utf-8", "replace")) and step > after:
            found = step
    return found


def address(secret: str, login: str, issuer: str) -> str:
    """What an authenticator app reads (``otpauth://``); ``secret`` in base 32. A colon stands between issuer and login,
    so the issuer has none."""
    issuer = " ".join(issuer.replace(":", " ").split())
    label = f"{quote(issuer, safe='')}:{quote(login, safe='')}"
    query = urlencode({"secret": secret, "issuer": issuer}, quote_via=quote)  # apps show a plus as one
    return f"otpauth://totp/{label}?{query}"

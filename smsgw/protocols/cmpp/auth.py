"""CMPP login digests (8.4.1). MD5 is what the protocol prescribes; it protects nothing else."""

from __future__ import annotations

import hashlib
import hmac


def _md5(octets: bytes) -> bytes:
    return hashlib.md5(octets, usedforsecurity=False).digest()


def timestamp_text(timestamp: int) -> str:
    """The ten digits MMDDHHMMSS; the integer on the wire has lost a leading zero."""
    return f"{timestamp:010d}"


def authenticator_source(source_addr: str, secret: str, timestamp: int) -> bytes:
    """AuthenticatorSource of CONNECT."""
    return _md5(source_addr.encode() + bytes(9) + secret.encode() + timestamp_text(timestamp).encode())


def authenticator_ismg(status: int, source_digest: bytes, secret: str, width: int) -> bytes:
    """AuthenticatorISMG of CONNECT_RESP; `width` of the status in octets is 1 in 2.x, 4 in 3.0."""
    return _md5(status.to_bytes(width, "big") + source_digest + secret.encode())


def ismg_width(digest: bytes, status: int, source_digest: bytes, secret: str) -> int | None:
    """With which width of the status (1 or 4) the gateway's digest is right; None: with neither.

    Gateways mix the widths up, and many send rubbish: a mismatch is worth a log line, no more.
    """
    for width in (1, 4):
        if status < 1 << 8 * width and hmac.compare_digest(
            digest, authenticator_ismg(status, source_digest, secret, width)
        ):
            return width
    return None

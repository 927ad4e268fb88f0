"""Octets of a PDU for a log: enough to settle a dispute with a carrier, and nothing that anybody wrote."""

from __future__ import annotations

LIMIT = 128
"""Octets that are shown."""


def _mask(octet: int) -> int:
    if 0x30 <= octet <= 0x39:
        return 0x30
    return 0x78 if octet > 0x20 else octet


_MASK = bytes(_mask(octet) for octet in range(256))


def masked(frame: bytes, header: int) -> str:
    """The first octets in hexadecimal: ``header`` of them as they are; of the body only lengths, zeros and small
    numbers: each digit is a 0 (30), whatever else could be a letter, or half of a Chinese one, an x (78)."""
    shown = frame[:header] + frame[header:LIMIT].translate(_MASK)
    return shown.hex() + (f"… of {len(frame)}" if len(frame) > LIMIT else "")

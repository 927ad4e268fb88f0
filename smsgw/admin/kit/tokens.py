"""Signed tokens: what we have put into a page and will believe when it comes back (cursors, selections)."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from typing import Any

from smsgw.platform.handles import Sealer

MOST = 3000
"""Characters of a token."""
_MAC = 16
_PURPOSE = "smsgw portal token v1"


def make(sealer: Sealer, context: str, value: Any) -> str:
    """A token for a value that can be written as JSON. ``context`` says for what and for whom: it is good nowhere
    else."""
    key_id, key = sealer.derive(_PURPOSE)
    octets = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return f"{key_id}.{_text(octets)}.{_text(_mac(key, context, octets))}"


def read(sealer: Sealer, context: str, token: str) -> Any:
    """The value of a token; None for one that we have not made, or not for this."""
    key_id, _, rest = token.partition(".")
    payload, _, mac = rest.partition(".")
    if len(token) > MOST or not token.isascii():
        return None
    key = sealer.derived(_PURPOSE, key_id)
    try:
        octets, given = _octets(payload), _octets(mac)
    except (binascii.Error, ValueError):
        return None
    if key is None or not hmac.compare_digest(given, _mac(key, context, octets)):
        return None
    return json.loads(octets)


def _mac(key: bytes, context: str, octets: bytes) -> bytes:
    said = context.encode()
    return hmac.digest(key, len(said).to_bytes(4, "big") + said + octets, "sha256")[:_MAC]


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def _octets(text: str) -> bytes:
    octets = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _text(octets) != text:  # one value has one token
        raise ValueError(text)
    return octets

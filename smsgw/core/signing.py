"""What a signature of the API covers, and the signature (docs/api.md, Authentication)."""

from __future__ import annotations

import hmac
from urllib.parse import parse_qsl, quote


def canonical_query(raw_query: str) -> str:
    """The query as it is signed: pairs sorted, each part encoded as in RFC 3986, empty when there is none."""
    if not raw_query:
        return ""
    pairs = sorted(parse_qsl(raw_query, keep_blank_values=True, errors="surrogateescape"))
    return "&".join([f"{_quoted(name)}={_quoted(value)}" for name, value in pairs])


def _quoted(text: str) -> str:
    return quote(text, safe="-._~", errors="surrogateescape")


def string_to_sign(
    method: str, path: str, query: str, timestamp: str, nonce: str, body_sha256: str, idempotency_key: str = ""
) -> str:
    """What a signature covers; ``query`` in canonical form, ``body_sha256`` in lower hex.

    Its first line is no method, so that it is no string of version 1 either. The host is not covered: proxies change
    it, and a secret is good at one platform alone.
    """
    return f"v2\n{string_to_sign_v1(method, path, query, timestamp, nonce, body_sha256)}\n{idempotency_key}"


def string_to_sign_v1(method: str, path: str, query: str, timestamp: str, nonce: str, body_sha256: str) -> str:
    """What version 1 covers: all but the ``Idempotency-Key``."""
    return f"{method}\n{path}\n{query}\n{timestamp}\n{nonce}\n{body_sha256}"


def sign(secret: str, text: str, version: int = 2) -> str:
    """The value of ``X-Sms-Signature`` for a string to sign."""
    return f"v{version}=" + hmac.digest(secret.encode(), text.encode("utf-8", "surrogateescape"), "sha256").hex()

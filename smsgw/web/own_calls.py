"""A signed call of this node's own API, over its own listener, as a customer's program makes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

TIMEOUT = 20.0
MOST_ANSWER = 256 * 1024
"""Octets of an answer that are read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How it was answered; ``status`` 0: it was not."""

    status: int
    text: str
    body: Mapping[str, Any]


async def call(
    origin: str, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes,
    *, certificate: bytes = b"",
) -> Answer:  # fmt: skip
    """Make it. Over TLS the listener is ours if it has the certificate with that SHA-256: the name in it is the host's,
    not that of the address."""
    url = URL(f"{origin}{path}{'?' + query if query else ''}", encoded=True)
    trust = aiohttp.Fingerprint(certificate) if certificate else True
    limit = aiohttp.ClientTimeout(total=TIMEOUT)
    try:
        async with (
            aiohttp.ClientSession(timeout=limit, auto_decompress=True) as session,
            session.request(
                method, url, data=body or None, headers=headers, ssl=trust, allow_redirects=False
            ) as answer,
        ):
            octets = await answer.content.read(MOST_ANSWER)
            while len(octets) < MOST_ANSWER and (more := await answer.content.read(MOST_ANSWER - len(octets))):
                octets += more
            text = octets.decode("utf-8", "replace")
            status = answer.status
    except (aiohttp.ClientError, TimeoutError) as exc:
        return Answer(0, f"{type(exc).__name__}", {})
    try:
        read = json.loads(text)
    except ValueError:
        read = {}
    return Answer(status, text, read if isinstance(read, dict) else {})

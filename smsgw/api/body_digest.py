"""The header with a body's SHA-256: the signature of a request covers it, and it is held against the body."""

from __future__ import annotations

import re

from aiohttp import web

from smsgw.core.words import phrase
from smsgw.web.bodies import invalid

CONTENT_SHA256 = "X-Sms-Content-SHA256"
"""64 digits of lower hex; with it the signature can be checked before the body is there."""
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


def claimed_sha256(request: web.Request) -> str | None:
    """What the header says of the body; None: nothing. ``PARAM_INVALID``."""
    given = request.headers.get(CONTENT_SHA256)
    if given is not None and not _SHA256.fullmatch(given):
        raise invalid(CONTENT_SHA256, phrase("sha256.form"))
    return given


def check_sha256(given: str | None, digest: bytes) -> None:
    """The body is the one that was announced. ``PARAM_INVALID``."""
    if given is not None and given != digest.hex():
        raise invalid(CONTENT_SHA256, phrase("sha256.other"))

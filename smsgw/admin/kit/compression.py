"""Pages in as few octets as the browser takes. The CSRF token is masked anew each time (``security``), so that the
length of a compressed page tells nothing about it (BREACH)."""

from __future__ import annotations

import asyncio
import gzip

from aiohttp import web

SMALLEST = 1024
"""Octets below which it is not worth the work."""
AT_ONCE = 128 * 1024
"""Octets up to which the work is done on the spot, in a millisecond or two; larger ones go to a thread."""
LEVEL = 5


def takes_gzip(accepted: str) -> bool:
    """Whether an ``Accept-Encoding`` allows gzip."""
    for piece in accepted.lower().split(","):
        coding, _, quality = piece.strip().partition(";")
        if coding.strip() in ("gzip", "*"):
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


async def compress(request: web.Request, response: web.StreamResponse) -> None:
    """Compress the body of an answer that is text and long enough."""
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        return
    if not response.content_type.startswith("text/") or "Content-Encoding" in response.headers:
        return
    response.headers["Vary"] = "Accept-Encoding"
    body = response.body
    if len(body) < SMALLEST or not takes_gzip(request.headers.get("Accept-Encoding", "")):
        return
    small = len(body) <= AT_ONCE
    response.body = gzip.compress(body, LEVEL) if small else await asyncio.to_thread(gzip.compress, body, LEVEL)
    response.headers["Content-Encoding"] = "gzip"

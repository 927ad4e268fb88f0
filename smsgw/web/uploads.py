"""Bodies too large for memory: taken apart while they come, so that only the file in them is written.

The work on a block is a thread's, so that neither hashing nor a slow disk holds the event loop.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import BinaryIO

import multipart
from aiohttp import ClientPayloadError, web

from smsgw.core.errors import Invalid, SmsgwError
from smsgw.core.words import phrase
from smsgw.web import listening
from smsgw.web.bodies import invalid, refuse_packed, too_slow

OVERHEAD = 64 * 1024
"""Octets around the file in the body."""
SECONDS = 3600.0
"""For a whole file, from a sender that is slow but not too slow."""
MAX_PARTS = 20
MAX_HEADERS = 8
"""Of a part."""
MAX_HEADER = 4096
"""Octets of a line of them."""
BLOCK = 256 * 1024
"""Octets that a thread is given at a time."""


class Form:
    """A multipart body that comes in blocks (RFC 7578): its field ``file`` goes to ``out``, the rest nowhere.

    Time is proportional to what comes, whatever it is: the parser never looks twice at what it has passed, and keeps
    no more than a line of a header, or what may be the beginning of a boundary.
    """

    def __init__(self, content_type: str, out: BinaryIO) -> None:
        """``PARAM_INVALID``: not the type of such a body."""
        kind, options = multipart.parse_options_header(content_type[:1024])
        boundary = options.get("boundary", "")
        if kind != "multipart/form-data" or not 1 <= len(boundary) <= 70 or not boundary.isascii():
            raise _multipart()
        self._parser = multipart.PushMultipartParser(
            boundary, max_header_size=MAX_HEADER, max_header_count=MAX_HEADERS, max_segment_count=MAX_PARTS
        )
        self._out = out
        self._ours = False
        self._name: str | None = None

    def write(self, block: bytes) -> None:
        """The next octets of the body. ``PARAM_INVALID``."""
        try:
            for event in self._parser.parse(block):
                if isinstance(event, multipart.MultipartSegment):
                    self._ours = event.name == "file" and self._name is None
                    if self._ours:
                        self._name = event.filename or ""
                elif event is None:
                    self._ours = False
                elif self._ours:
                    self._out.write(event)
        except multipart.MultipartError:
            raise _multipart() from None

    def end(self) -> str:
        """That was all; the file's name. ``PARAM_INVALID``, ``PARAM_MISSING``."""
        try:
            self._parser.close()
        except multipart.MultipartError:
            raise _multipart() from None
        if self._name is None:
            raise Invalid("PARAM_MISSING", field="file")
        return self._name


def extract(body: bytes, content_type: str) -> tuple[str, bytes]:
    """Name and octets of the file in a multipart body. ``PARAM_INVALID``, ``PARAM_MISSING``."""
    out = io.BytesIO()
    form = Form(content_type, out)
    for at in range(0, len(body), BLOCK):
        form.write(body[at : at + BLOCK])
    return form.end(), out.getvalue()


async def receive(
    request: web.Request, path: Path, most: int, reserve: Callable[[int], Awaitable[None]]
) -> tuple[str, bytes]:
    """Write the file in the body, of at most ``most`` octets, to ``path``; its name, and the SHA-256 of the body.

    ``reserve`` is told how many octets the body has by now, before they are written. Raises ``FILE_TOO_LARGE``,
    ``REQUEST_TIMEOUT``, ``PARAM_INVALID``, ``PARAM_MISSING``.
    """
    refuse_packed(request)
    sha256 = hashlib.sha256()
    size = 0
    try:
        with path.open("xb") as out:
            form = Form(request.headers.get("Content-Type", ""), out)

            def work(block: bytes) -> None:
                sha256.update(block)
                form.write(block)

            async with asyncio.timeout(SECONDS):
                async for block in listening.body_of(request.content, BLOCK):
                    size += len(block)
                    if size > most + OVERHEAD:
                        raise Invalid("FILE_TOO_LARGE")
                    await reserve(size)
                    await asyncio.to_thread(work, block)
            return form.end(), sha256.digest()
    except TimeoutError:
        raise too_slow() from None
    except (ClientPayloadError, web.RequestPayloadError) as exc:
        raise _multipart() from exc


def _multipart() -> SmsgwError:
    return invalid("body", phrase("upload.form"))

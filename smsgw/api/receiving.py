"""Bodies too large for memory: written to a file as they come, and taken apart there."""

from __future__ import annotations

import asyncio
import hashlib
import mmap
import re
from email.parser import HeaderParser
from pathlib import Path
from typing import BinaryIO

from aiohttp import ClientPayloadError, web

from smsgw.core.errors import Invalid, SmsgwError, Temporary
from smsgw.platform.campaigns.files import MAX_SIZE

OVERHEAD = 64 * 1024
"""Octets around the file in the body."""
SECONDS = 900
IDLE_SECONDS = 30
"""A sender that sends nothing for so long is cut off."""
MAX_PARTS = 20
_BOUNDARY = re.compile(r'boundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)


async def spool(request: web.Request, path: Path) -> bytes:
    """Write the body to ``path``; its SHA-256. ``FILE_TOO_LARGE``, ``REQUEST_TIMEOUT``, ``PARAM_INVALID``."""
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise _invalid("Content-Encoding", "不支持压缩的请求体", "compressed bodies are not accepted")
    digest = hashlib.sha256()
    size = 0
    try:
        async with asyncio.timeout(SECONDS):
            with path.open("wb") as file:
                while chunk := await asyncio.wait_for(request.content.readany(), IDLE_SECONDS):
                    size += len(chunk)
                    if size > MAX_SIZE + OVERHEAD:
                        raise Invalid("FILE_TOO_LARGE")
                    digest.update(chunk)
                    file.write(chunk)
    except TimeoutError:
        raise Temporary("REQUEST_TIMEOUT", n=IDLE_SECONDS) from None
    except (ClientPayloadError, web.RequestPayloadError) as exc:
        raise _multipart() from exc
    return digest.digest()


async def unwrap(path: Path, content_type: str) -> str:
    """Leave in ``path`` the field ``file`` of the multipart body that is there; the file's name."""
    match = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/form-data") or match is None:
        raise _multipart()
    return await asyncio.to_thread(_unwrap, path, (match[1] or match[2]).encode("latin-1", "replace"))


def _unwrap(path: Path, boundary: bytes) -> str:
    if not path.stat().st_size:
        raise _multipart()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as body:
        for name, filename, begin, end in _parts(body, b"--" + boundary):
            if name == "file":
                target = path.with_suffix(".file")
                file.seek(begin)
                with target.open("wb") as out:
                    _copy(file, out, end - begin)
                target.replace(path)
                return filename
    raise Invalid("PARAM_MISSING", field="file")


def _parts(body: mmap.mmap, delimiter: bytes) -> list[tuple[str, str, int, int]]:
    """Name, file name and extent of each part (RFC 7578, RFC 2046 §5.1)."""
    at = body.find(delimiter, 0, OVERHEAD)
    found: list[tuple[str, str, int, int]] = []
    while at >= 0 and len(found) < MAX_PARTS:
        at += len(delimiter)
        if body[at : at + 2] == b"--":
            return found
        line = body.find(b"\r\n", at, at + 1024)
        head = body.find(b"\r\n\r\n", line, line + OVERHEAD) if line >= 0 else -1
        following = body.find(b"\r\n" + delimiter, head + 2) if head >= 0 else -1
        if following < 0:
            break
        # Browsers and libraries write a file's name as plain UTF-8.
        headers = HeaderParser().parsestr(body[line + 2 : head + 2].decode("utf-8", "replace"))
        name = headers.get_param("name", "", "content-disposition")
        found.append((str(name), headers.get_filename() or "", min(head + 4, following), following))
        at = following + 2
    raise _multipart()


def _copy(source: BinaryIO, target: BinaryIO, size: int) -> None:
    left = size
    while left > 0 and (block := source.read(min(1 << 20, left))):
        target.write(block)
        left -= len(block)


def _multipart() -> SmsgwError:
    return _invalid(
        "body",
        '应为 multipart/form-data,文件放在名为 "file" 的字段中',
        'multipart/form-data with a field "file"',
    )


def _invalid(field: str, chinese: str, english: str) -> SmsgwError:
    return Invalid("PARAM_INVALID", field=field, reason=chinese, reason_en=english)

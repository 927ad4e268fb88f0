"""Where a request ends is never a matter of opinion, and methods and origins of others get nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from api_server import BASE
from api_server import running as api_running
from portal_site import running as portal_running

TWO_ENDS = [
    b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    b"Content-Length: 4, 5\r\n\r\nabcde",
    b"Content-Length : 4\r\n\r\nabcd",
    b"Content-Length: +4\r\n\r\nabcd",
    b"Content-Length: 4\r\n folded\r\n\r\nabcd",
    b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n5;a\n\r\nabcde\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n",
]
SECOND = b"GET /health HTTP/1.1\r\nHost: smuggled\r\n\r\n"


async def said(port: int, octets: bytes) -> bytes:
    """All that is answered until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(octets)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


@pytest.fixture(params=["api", "portal"])
async def edge(request: pytest.FixtureRequest, dsn: str, tmp_path: Path) -> AsyncIterator[tuple[int, str]]:
    """A port, and a path there that everybody may ask for."""
    if request.param == "api":
        async with api_running(dsn, tmp_path) as api:
            yield api.port, f"{BASE}/time"
    else:
        async with portal_running(dsn, tmp_path) as site:
            yield int(site.url.rpartition(":")[2]), "/login"


async def test_a_request_with_two_ends_is_refused_with_what_follows(edge: tuple[int, str]) -> None:
    port, path = edge
    for ends in TWO_ENDS:
        answer = await said(port, f"POST {path} HTTP/1.1\r\nHost: here\r\n".encode() + ends + SECOND)
        assert answer[9:12] == b"400", (ends, answer)
        assert answer.count(b"HTTP/1.") == 1, ("the second request was heard", ends)


async def test_no_method_gives_back_what_was_sent(edge: tuple[int, str]) -> None:
    port, path = edge
    for there in (path, "/none"):
        request = f"TRACE {there} HTTP/1.1\r\nHost: here\r\nCookie: secret=1\r\nConnection: close\r\n\r\n"
        answer = await said(port, request.encode())
        assert answer[9:10] == b"4", answer
        assert b"secret" not in answer


async def test_no_other_origin_is_let_in(edge: tuple[int, str]) -> None:
    port, path = edge
    for method in ("GET", "OPTIONS"):
        request = (
            f"{method} {path} HTTP/1.1\r\nHost: here\r\nOrigin: https://evil.example\r\nConnection: close\r\n"
            "Access-Control-Request-Method: POST\r\n\r\n"
        )
        answer = await said(port, request.encode())
        assert answer.startswith(b"HTTP/1.")
        assert b"access-control" not in answer.lower()

"""An HTTP/1.1 client that costs as little as possible: one keep-alive connection, one request at a time.

A general client would use more CPU for a request than the gateway does for the message, and on one machine that CPU
is missing where it is measured.
"""

from __future__ import annotations

import asyncio
import re
import socket
from typing import cast
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_RETRY = re.compile(rb"\r\nretry-after: *(\d+)", re.IGNORECASE)


class Answer:
    """What came back: status, body, and the seconds of ``Retry-After`` (0 without)."""

    __slots__ = ("body", "retry_after", "status")

    def __init__(self, status: int, body: bytes, retry_after: int) -> None:
        self.status = status
        self.body = body
        self.retry_after = retry_after


class Connection(asyncio.Protocol):
    """A keep-alive connection to the API."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._needed = 0
        self._head = 0
        self._waiting: asyncio.Future[Answer] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Small requests go out at once."""
        self._transport = cast(asyncio.Transport, transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits for an answer learns that none will come."""
        self._transport = None
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionResetError("closed before the answer"))

    def data_received(self, data: bytes) -> None:
        """Collect one answer; its length comes with its head."""
        buffer = self._buffer + data if self._buffer else data
        if not self._needed:
            head = buffer.find(b"\r\n\r\n")
            if head < 0:
                self._buffer = buffer
                return
            length = _LENGTH.search(buffer, 0, head + 2)
            self._head = head
            self._needed = head + 4 + (int(length[1]) if length else 0)
        if len(buffer) < self._needed:
            self._buffer = buffer
            return
        retry = _RETRY.search(buffer, 0, self._head + 2)
        answer = Answer(int(buffer[9:12]), buffer[self._head + 4 : self._needed], int(retry[1]) if retry else 0)
        self._buffer, self._needed = b"", 0
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def send(self, request: bytes) -> asyncio.Future[Answer]:
        """Write a request; the future is done with its answer, or fails with ``ConnectionError``."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if self._transport is None:
            future.set_exception(ConnectionResetError("not connected"))
            return future
        self._waiting = future
        self._transport.write(request)
        return future

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()


class Endpoint:
    """An API under a base URL, with the key to use there."""

    def __init__(self, url: str, bearer: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url}: http://host:port or https://host:port is wanted")
        self._tls = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port or (443 if self._tls else 80)
        self._base = parts.path.rstrip("/")
        self._headers = (
            f"Host: {parts.netloc}\r\nAuthorization: Bearer {bearer}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        )

    async def connect(self) -> Connection:
        """A new connection. Raises ``OSError``."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            _, connection = await loop.create_connection(Connection, self._host, self._port, ssl=self._tls or None)
        return connection

    def head(self, method: str, path: str) -> bytes:
        """A request up to the length of its body (see ``request``)."""
        return f"{method} {self._base}/api/v1{path} HTTP/1.1\r\n{self._headers}".encode()

    def request(self, method: str, path: str, body: bytes = b"") -> bytes:
        """A whole request."""
        return b"%b%d\r\n\r\n%b" % (self.head(method, path), len(body), body)

"""The receiver of pushed reports: an HTTP/1.1 server that costs as little as possible, and checks every signature."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import re
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar, cast

import msgspec

from smsgw.core.webhooks import REPORT, type_of

_FIELD = re.compile(rb"\r\n(content-length|webhook-[a-z]+): *([^\r]*)", re.IGNORECASE)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
S = TypeVar("S", bound="Sink")


class Event(msgspec.Struct):
    """A pushed report."""

    message_id: str
    status: str


class _Body(msgspec.Struct):
    """A call; what its items have depends on the type."""

    type: str
    items: msgspec.Raw


_body = msgspec.json.Decoder(_Body)
_events = msgspec.json.Decoder(list[Event])
_REPORTS = type_of(REPORT)


class Sink:
    """Hands on what was pushed. ``secret`` is set before the first call."""

    def __init__(self) -> None:
        self.url = ""
        self.secret = b""
        self.receive: Callable[[list[Event]], None] = lambda _: None
        self.calls = 0
        self.unsigned = 0
        """Calls whose signature is wrong; refused."""

    def use(self, secret: str) -> None:
        """The secret as it was shown."""
        self.secret = base64.b64decode(secret.removeprefix("whsec_"))

    def take(self, head: bytes, body: bytes) -> bytes:
        """One call; the answer to it."""
        fields = {name.lower(): value for name, value in _FIELD.findall(head)}
        signed = b"%b.%b.%b" % (fields.get(b"webhook-id", b""), fields.get(b"webhook-timestamp", b""), body)
        wanted = b"v1," + base64.b64encode(hmac.digest(self.secret, signed, "sha256"))
        self.calls += 1
        if not hmac.compare_digest(wanted, fields.get(b"webhook-signature", b"")):
            self.unsigned += 1
            return b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
        call = _body.decode(body)
        if call.type == _REPORTS:  # a webhook gets all types: of filings, links and tasks too
            self.receive(_events.decode(call.items))
        return ANSWER


class _Connection(asyncio.Protocol):
    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[: end + 2]
            found: Any = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(self._buffer) < whole:
                return
            body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            self._transport.write(self._sink.take(head, body))


@contextlib.asynccontextmanager
async def listening(sink: S) -> AsyncIterator[S]:
    """A sink on a loopback port."""
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(sink), "127.0.0.1", 0)
    sink.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/events"
    try:
        yield sink
    finally:
        server.close()

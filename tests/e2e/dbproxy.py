"""A way to a database that can be slow, freeze, break and lose the answer to a COMMIT.

It stands between a daemon (or a writer of a test) and a real PostgreSQL: TCP in front, TCP or the socket of an
``EmbeddedPostgres`` behind. Of the protocol it knows as much as it needs to see a COMMIT go by.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from smsgw.runtime import aio

_COMMIT = re.compile(rb"\s*(COMMIT|END)\b", re.IGNORECASE)
_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class _Loss:
    """What is to happen to a COMMIT."""

    of: bytes
    late: float


class DatabaseProxy:
    """``async with DatabaseProxy(dsn) as proxy``: what connects to ``proxy.dsn`` reaches the database of ``dsn``."""

    def __init__(self, dsn: str, *, host: str = "127.0.0.1") -> None:
        self._host = host
        self._target = urlsplit(dsn)
        self._query = dict(parse_qsl(self._target.query))
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._going = asyncio.Event()
        self._going.set()
        self._losses: deque[_Loss] = deque()
        self.latency = 0.0
        """Seconds that each round trip takes longer."""
        self.refusing = False
        """New connections are closed at once."""
        self.lost = 0
        """COMMITs whose answer was kept from the client."""
        self.connections = 0
        """Made since the start."""

    async def __aenter__(self) -> DatabaseProxy:
        self._server = await asyncio.start_server(self._taken, self._host, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.thaw()
        self.cut()
        await aio.cancel(*self._serving)

    @property
    def dsn(self) -> str:
        """The address of the proxy, in the form of the database's."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        user, at, _ = self._target.netloc.rpartition("@")
        query = {k: v for k, v in self._query.items() if k not in ("host", "port")} | {"sslmode": "disable"}
        return urlunsplit(
            (self._target.scheme, f"{user}{at}{self._host}:{port}", self._target.path, urlencode(query), "")
        )

    def freeze(self) -> None:
        """Nothing goes through any more, in either direction; connections are taken and not answered."""
        self._going.clear()

    def thaw(self) -> None:
        """It goes on, with what was sent meanwhile."""
        self._going.set()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """For the time of a block."""
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def cut(self) -> None:
        """All connections are reset, on both sides."""
        for link in list(self._links):
            link.cut()

    def lose_commits(self, n: int = 1, *, of: bytes = b"", late: float = 0.0) -> None:
        """The next ``n`` COMMITs (of transactions in which the client has sent ``of``) reach the database; their
        clients see a reset connection. ``late``: the reset comes at once, and the COMMIT reaches the database so many
        seconds after it, as when the server is still at it while the client tries again."""
        self._losses.extend([_Loss(of, late)] * n)

    def _loss_for(self, said: bytes) -> _Loss | None:
        for loss in self._losses:
            if loss.of in said:
                self._losses.remove(loss)
                return loss
        return None

    def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = aio.spawn(self._serve(reader, writer), name="dbproxy.link")
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        self.connections += 1
        await self._going.wait()
        try:
            behind = await self._connect()
        except OSError:
            writer.transport.abort()
            return
        link = _Link(self, (reader, writer), behind)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host = self._query.get("host") or unquote(self._target.hostname or "127.0.0.1")
        port = int(self._query.get("port") or self._target.port or 5432)
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)


LOOKED_AT = 20_000
"""Octets of each message of the client: a statement that is prepared is told by what it carries."""


class _Link:
    """A connection through the proxy."""

    def __init__(
        self,
        proxy: DatabaseProxy,
        front: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        back: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._proxy = proxy
        self._front_in, self._front_out = front
        self._back_in, self._back_out = back
        self._mute = False
        """The client hears nothing more."""
        self._asked = 0.0
        """When the client last said something. An answer comes ``latency`` after that at the earliest."""
        self._forward: asyncio.Task[None] | None = None
        self._backward: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until both sides are closed."""
        self._forward = aio.spawn(self._to_database(), name="dbproxy.forward")
        self._backward = aio.spawn(self._to_client(), name="dbproxy.backward")
        try:
            await asyncio.wait((self._forward, self._backward))
        finally:
            self.cut()

    def cut(self) -> None:
        """Reset both sides."""
        for writer in (self._front_out, self._back_out):
            writer.transport.abort()
        for task in (self._forward, self._backward):
            if task is not None:
                task.cancel()

    async def _to_database(self) -> None:
        said = bytearray()  # since the last COMMIT
        loop = asyncio.get_running_loop()
        try:
            async for message in self._messages():
                said += message[:LOOKED_AT]
                loss = None
                if message[:1] in (b"Q", b"P") and _COMMIT.match(message[5:].split(b"\0", 1)[message[:1] == b"P"]):
                    loss = self._proxy._loss_for(bytes(said))
                    said.clear()
                await self._proxy._going.wait()
                if loss is not None:
                    await self._lose(message, loss)
                    return
                self._asked = loop.time()
                self._back_out.write(message)
                await self._back_out.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        await self._proxy._going.wait()
        self._back_out.close()

    async def _lose(self, commit: bytes, loss: _Loss) -> None:
        """The database gets the COMMIT, the client a reset."""
        self._mute = True
        self._proxy.lost += 1
        if loss.late:
            self._front_out.transport.abort()
            await asyncio.sleep(loss.late)
        self._back_out.write(commit)
        self._back_out.write(b"X\0\0\0\4")  # Terminate: the server closes when it is done
        with contextlib.suppress(OSError):
            await self._back_out.drain()

    async def _to_client(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while chunk := await self._back_in.read(_CHUNK):
                await asyncio.sleep(self._asked + self._proxy.latency - loop.time())
                await self._proxy._going.wait()
                if not self._mute:
                    self._front_out.write(chunk)
                    await self._front_out.drain()
        self._front_out.transport.abort()

    async def _messages(self) -> AsyncIterator[bytes]:
        """What the client sends, message by message; the first has no type."""
        first = True
        while True:
            head = await self._front_in.readexactly(4 if first else 5)
            length = int.from_bytes(head[-4:], "big")
            yield head + await self._front_in.readexactly(length - 4)
            first = False

"""A TCP proxy that does to a connection what networks do: slow, cut into pieces, joined, broken off, silent.

    async with FaultProxy(port_of_the_server) as proxy:
        proxy.down.slice = 1            # the server's octets come one by one
        ... connect to proxy.port ...
        proxy.reset()

Faults are of a direction: ``up`` is from client to server, ``down`` back. They may be changed at any time and count for
octets that pass from then on, over all connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from smsgw.runtime.aio import cancel, spawn

READ = 65536


@dataclass
class Faults:
    """What happens to the octets of one direction. Seconds, octets."""

    latency: Callable[[], float] = lambda: 0.0
    """Before each piece."""
    slice: int | None = None
    """Pieces of so many octets."""
    pieces: Callable[[], int] | None = None
    """The same, by chance."""
    rate: float | None = None
    """Octets a second."""
    gather: int | None = None
    """Hold back until there are so many, or ``gather_for`` is over: PDUs arrive together."""
    gather_for: float = 0.05
    drop_after: int | None = None
    """After so many more octets nothing passes, and the peer is not told."""
    reset_after: int | None = None
    """After so many more octets all connections are reset."""
    going: asyncio.Event = field(default_factory=asyncio.Event)
    """Clear: frozen."""
    passed: int = 0

    def __post_init__(self) -> None:
        self.going.set()

    def freeze(self) -> None:
        """Nothing passes until ``thaw``."""
        self.going.clear()

    def thaw(self) -> None:
        """It goes on, with all that waited."""
        self.going.set()

    def _next(self) -> int:
        if self.pieces is not None:
            return max(1, self.pieces())
        return self.slice or READ


class _Pipe:
    """One direction of one connection."""

    def __init__(
        self, proxy: FaultProxy, faults: Faults, source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ):
        self._proxy = proxy
        self._faults = faults
        self._source = source
        self._sink = sink

    async def run(self) -> None:
        faults = self._faults
        with contextlib.suppress(OSError):
            while data := await self._read():
                while data:
                    size = faults._next()
                    piece, data = data[:size], data[size:]
                    pause = faults.latency() + (len(piece) / faults.rate if faults.rate else 0.0)
                    if pause:
                        await asyncio.sleep(pause)
                    await faults.going.wait()
                    if not self._pass(piece):
                        return
                    await self._sink.drain()
                    # What is written in one turn of the loop may be read in one.
                    await asyncio.sleep(0.0)
            if self._sink.can_write_eof():
                self._sink.write_eof()

    async def _read(self) -> bytes:
        data = await self._source.read(READ)
        want = self._faults.gather
        if want is not None and data:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._faults.gather_for):
                    while len(data) < want and (more := await self._source.read(want - len(data))):
                        data += more
        return data

    def _pass(self, piece: bytes) -> bool:
        faults = self._faults
        if faults.drop_after is not None:
            piece = piece[: faults.drop_after]
            faults.drop_after -= len(piece)
        last = faults.reset_after is not None and len(piece) >= faults.reset_after
        if faults.reset_after is not None:
            piece = piece[: faults.reset_after]
            faults.reset_after = None if last else faults.reset_after - len(piece)
        faults.passed += len(piece)
        self._sink.write(piece)
        if last:
            self._proxy.reset()
        return not last


class FaultProxy:
    """Listens on ``port`` while it is entered, and connects each client to the server."""

    def __init__(self, server_port: int, *, port: int = 0, host: str = "127.0.0.1") -> None:
        self.server_port = server_port
        self.port = port
        self.up, self.down = Faults(), Faults()
        self.connections = 0
        """So far."""
        self.refuses = False
        """New clients are turned away."""
        self._host = host
        self._listener: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, ...]] = {}

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._connected, self._host, self.port)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listener is not None
        self._listener.close()
        self.reset()
        await cancel(*self._open)

    def reset(self) -> None:
        """Break off all connections, both ends by RST."""
        self._each(lambda writer: _abort(writer))

    def half_close(self, *, up: bool) -> None:
        """End one direction of all connections (FIN); the other goes on."""
        for client, server in list(self._open.values()):
            (server if up else client).write_eof()

    def _each(self, do: Callable[[asyncio.StreamWriter], None]) -> None:
        for writers in list(self._open.values()):
            for writer in writers:
                with contextlib.suppress(OSError):
                    do(writer)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            _abort(writer)
            return
        self.connections += 1
        spawn(self._serve(reader, writer), name="faultproxy")

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            back, server = await asyncio.open_connection(self._host, self.server_port)
        except OSError:
            _abort(client)
            return
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = client, server
        for writer in (client, server):
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.gather(
                _Pipe(self, self.up, reader, server).run(), _Pipe(self, self.down, back, client).run()
            )
        finally:
            del self._open[task]
            client.close()
            server.close()


def _abort(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def sliced(dice: random.Random) -> Callable[[], int]:
    """Sizes of pieces: mostly single octets and a few, sometimes many."""
    return lambda: dice.choice((1, 1, 2, 3, 7, 16, 200, 4096))

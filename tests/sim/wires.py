"""Connections in memory, with what networks do to them: latency, slices, full buffers, resets, silence."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from virtual import Process, VirtualLoop, here

GIVEN_UP_AFTER = 900.0
"""Seconds until the kernel gives up a connection whose peer is silent."""


class Weather:
    """How a network is. Changed while it runs."""

    def __init__(self) -> None:
        self.latency = (0.0005, 0.003)
        self.slices = 0.0
        """Chance that a delivery is only a piece of what is there."""
        self.down = False
        """No connection comes about."""


class Transport(asyncio.Transport):
    """One end."""

    def __init__(self, wire: Wire, process: Process | None) -> None:
        super().__init__()
        self.wire = wire
        self.process = process
        self.peer: Transport
        self.protocol: Any = None
        """None until somebody has accepted the connection."""
        self.context = process.context() if process is not None else None
        self._loop = wire.network.loop
        self._out = bytearray()
        self._busy = False
        self._last = 0.0
        self._closing = False
        self._fin = False
        self._lost = False
        self._reading = True
        self._paused = False
        if process is not None:
            process.on_death.append(self._died)

    # --- asyncio.Transport -------------------------------------------------------------------------------------

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Full is what the kernel does not take."""

    def get_write_buffer_size(self) -> int:
        return max(0, len(self._out) - self.wire.buffer)

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        if not self._reading:
            self._reading = True
            self.peer._deliver_soon()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing or self._lost or not data:
            return
        if self.process is not None and not self.process.effect():
            return
        self.wire.written(self, bytes(data))
        self._out += data
        if len(self._out) > self.wire.buffer and not self._paused:
            self._paused = True
            self.protocol.pause_writing()
        self._deliver_soon()

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self._deliver_soon()
        if self.wire.silent and len(self._out) > self.wire.buffer:
            self._call_later(GIVEN_UP_AFTER, self._lose, TimeoutError("timed out"))
        elif len(self._out) <= self.wire.buffer:
            self._call_later(0.0, self._lose, None)

    def abort(self) -> None:
        if self._lost:
            return
        self._closing = True
        self._call_later(0.0, self._lose, None)
        self._reset_peer()

    # --- the network -------------------------------------------------------------------------------------------

    def _died(self) -> None:
        """The kernel closes what a process leaves behind, and sends what it had taken."""
        del self._out[self.wire.buffer :]
        self._closing = self._lost = True
        self._deliver_soon()

    def _reset_peer(self) -> None:
        dice = self.wire.network.dice
        del self._out[dice.randrange(len(self._out) + 1) :]
        if not self.wire.silent:
            self.peer._call_later(dice.uniform(*self.wire.weather.latency), self.peer.reset)

    def reset(self) -> None:
        """The connection is gone by no will of this side."""
        if not self._lost:
            self._closing = True
            self._lose(ConnectionResetError(104, "reset by the network"))

    def _lose(self, exc: Exception | None) -> None:
        if not self._lost:
            self._lost = True
            if exc is not None:
                self._out.clear()
            if self.protocol is not None:
                self.protocol.connection_lost(exc)

    def _call_later(self, delay: float, call: Callable[..., Any], *args: Any) -> None:
        self._loop.call_later(delay, call, *args, context=self.context)

    def _deliver_soon(self) -> None:
        """At the other end, in its process, one delivery after the other."""
        if self._busy or not (self._out or self._closing) or self.wire.silent:
            return
        self._busy = True
        latency = self.wire.network.dice.uniform(*self.wire.weather.latency)
        self._last = max(self._last, self._loop.time() + latency)
        peer = self.peer
        if peer.process is not None and peer.process.dead:
            self._out.clear()
            return
        self._loop.call_at(self._last, self._deliver, context=peer.context)

    def _deliver(self) -> None:
        self._busy = False
        peer = self.peer
        if self.wire.silent or peer._lost or peer._closing:
            self._out.clear()
        elif self._out:
            if not peer._reading:
                return
            size = len(self._out)
            dice = self.wire.network.dice
            if dice.random() < self.wire.weather.slices:
                size = dice.randint(1, min(size, dice.choice((1, 7, 40, 500))))
            data = bytes(self._out[:size])
            del self._out[:size]
            self.wire.delivered(peer, data)
            peer.protocol.data_received(data)
        if len(self._out) <= self.wire.buffer:
            if self._closing and not self._lost:
                self._call_later(0.0, self._lose, None)
            elif self._paused and not self._closing:
                self._paused = False
                self._call_later(0.0, self.protocol.resume_writing)
        if self._out:
            self._deliver_soon()
        elif self._closing and not self._fin:
            self._fin = True
            if not peer._lost and not peer._closing:
                peer._closing = True
                peer._lose(None)


class Wire:
    """One connection. ``watcher`` sees what is written at either end, and what arrives."""

    def __init__(self, network: Network, client: Process | None, server: Process | None, port: int) -> None:
        self.network = network
        self.port = port
        self.weather = network.weather
        self.silent = False
        """The peers have lost each other and do not know it."""
        self.buffer = network.dice.choice((2_000, 20_000, 200_000))
        """Octets that the kernels hold; more waits in the writing process and dies with it."""
        self.client = Transport(self, client)
        self.server = Transport(self, server)
        self.client.peer, self.server.peer = self.server, self.client
        self.watcher: Any = None

    @property
    def open(self) -> bool:
        """Whether either end still believes in it."""
        return not (self.client._lost and self.server._lost)

    def written(self, end: Transport, data: bytes) -> None:
        """A living process has handed octets over."""
        if self.watcher is not None:
            self.watcher.written(self, end is self.client, data)

    def delivered(self, end: Transport, data: bytes) -> None:
        """A living process is about to read octets."""
        if self.watcher is not None:
            self.watcher.delivered(self, end is self.client, data)

    def cut(self) -> None:
        """Reset at both ends, at each when it hears of it; what is under way gets as far as it gets."""
        dice = self.network.dice
        for end in (self.client, self.server):
            del end._out[dice.randrange(len(end._out) + 1) :]
            end._call_later(dice.uniform(0.0, 0.3), end.reset)

    def fall_silent(self) -> None:
        """Nothing arrives any more, and nobody is told."""
        self.silent = True


class _Server:
    def __init__(self, network: Network, port: int) -> None:
        self.network = network
        self.port = port
        self.sockets = (self,)

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def close(self) -> None:
        self.network.servers.pop(self.port, None)

    async def wait_closed(self) -> None:
        """At once."""


class Network:
    """Addresses are ports."""

    def __init__(self, loop: VirtualLoop, dice: random.Random) -> None:
        self.loop = loop
        self.dice = dice
        self.weather = Weather()
        self.servers: dict[int, tuple[Callable[[], asyncio.Protocol], Process | None]] = {}
        self.wires: list[Wire] = []
        self.watch: Callable[[Wire], Any] = lambda _: None
        loop.network = self

    def listen(self, factory: Callable[[], asyncio.Protocol], host: str, port: int) -> _Server:
        """A place that can be connected to."""
        port = port or 10_000 + len(self.servers)
        self.servers[port] = factory, here()
        return _Server(self, port)

    async def connect(self, factory: Callable[[], asyncio.Protocol], host: str, port: int) -> tuple[Any, Any]:
        """As the loop's ``create_connection``."""
        await asyncio.sleep(self.dice.uniform(*self.weather.latency))
        if self.weather.down:
            await asyncio.sleep(self.dice.choice((0.0, 60.0)))
        if self.weather.down or port not in self.servers:
            raise ConnectionRefusedError(111, "refused")
        accept, server = self.servers[port]
        wire = Wire(self, here(), server, port)
        self.wires.append(wire)
        wire.client.protocol = factory()
        wire.watcher = self.watch(wire)

        wire.server._busy = wire.client._busy = True  # nothing arrives before there is somebody

        def begin() -> None:
            wire.server._busy = wire.client._busy = False
            if not wire.server._lost:
                wire.server.protocol = accept()
                wire.server.protocol.connection_made(wire.server)
            wire.client._deliver_soon()
            wire.server._deliver_soon()

        self.loop.call_later(self.dice.uniform(*self.weather.latency), begin, context=wire.server.context)
        wire.client.protocol.connection_made(wire.client)
        return wire.client, wire.client.protocol

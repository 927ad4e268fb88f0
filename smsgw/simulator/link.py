"""One connection of a simulated carrier: a transport around a session, and nothing that decides."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Protocol, cast

from smsgw import recording
from smsgw.protocols.events import Event
from smsgw.protocols.session import Session
from smsgw.simulator.wirelog import Tap

_RESET = struct.pack("ii", 1, 0)


class Owner(Protocol):
    """The simulated carrier, as its connections see it."""

    @property
    def paused(self) -> bool:
        """Whether nothing is to be read."""

    def now(self) -> float:
        """The time of sessions."""

    def link_made(self, link: Link) -> None:
        """The transport is there."""

    def handle(self, link: Link, events: list[Event], now: float) -> None:
        """Things have happened on the connection, in this order."""

    def link_lost(self, link: Link, why: str) -> None:
        """The transport is gone."""

    def mark(self, link: Link) -> None:
        """Something is to be written at the end of this turn of the loop."""


class Link(asyncio.Protocol):
    """Octets in, events to the carrier; what the session says goes out once per turn of the event loop."""

    def __init__(
        self,
        carrier: Owner,
        number: int,
        session: Session,
        *,
        outgoing: bool,
        tap: Tap | None,
        recorded: recording.Tap | None,
    ) -> None:
        self.carrier = carrier
        self.number = number
        self.session = session
        self.outgoing = outgoing
        """Opened by us (SGIP)."""
        self.settled = asyncio.Event()
        """Opened by us: logged in, or over."""
        self.user = ""
        """Set at login."""
        self.receives = False
        """Whether this login takes reports and replies."""
        self.submits = 0
        self.writable = True
        self.gone = False
        """Closed or closing: nothing more is read, answered or sent."""
        self.dirty = False
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self._frozen = False
        self._reset = False
        self._tap = tap
        self._recorded = recorded

    @property
    def peer(self) -> str:
        """The address at the other end; empty when there is none."""
        name = self._transport.get_extra_info("peername") if self._transport is not None else None
        return str(name[0]) if name else ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the session."""
        self._transport = cast(asyncio.Transport, transport)
        self.carrier.link_made(self)

    def data_received(self, data: bytes) -> None:
        """Hand what came to the session and what it makes of it to the carrier."""
        if self.gone:
            return
        if self._tap is not None:
            self._tap.incoming(data)
        now = self.carrier.now()
        if self._recorded is not None:
            self._recorded.received(data, now)
        self.carrier.handle(self, self.session.receive(data, now), now)

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is closed."""
        if self._recorded is not None:
            reset = self._reset or isinstance(exc, ConnectionResetError)
            self._recorded.closed(self.carrier.now(), by_us=self.gone, reset=reset)
        self.gone = True
        self.settled.set()
        self.carrier.link_lost(self, "closed" if exc is None else type(exc).__name__)

    def pause_writing(self) -> None:
        """The client does not read: take nothing more from it, so that answers cannot pile up."""
        self.writable = False
        self.pause()

    def resume_writing(self) -> None:
        """The client reads again."""
        self.writable = True
        self.resume()
        self.carrier.mark(self)

    def pause(self) -> None:
        """Stop reading."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again, unless something else stands against it."""
        if self._transport is None or self._transport.is_closing():
            return
        if self.writable and not self.carrier.paused and not self._frozen:
            self._transport.resume_reading()

    def freeze(self) -> None:
        """Read and write nothing any more; the connection stays."""
        self._frozen = True
        self.pause()

    def write_raw(self, octets: bytes) -> None:
        """Say something that the session would not, in its place behind what the session has said so far."""
        said = self.session.output()
        if said:
            self._out.append(said)
        self._out.append(octets)
        self.carrier.mark(self)

    def flush(self) -> None:
        """Write everything that was said."""
        if self._frozen:
            return
        said = self.session.output()
        if self._out:
            said = b"".join((*self._out, said))
            self._out.clear()
        if not said or self._transport is None or self._transport.is_closing():
            return
        if self._tap is not None:
            self._tap.outgoing(said)
        if self._recorded is not None:
            self._recorded.written(said, self.carrier.now())
        self._transport.write(said)

    def drop(self, *, rst: bool = False) -> None:
        """Close the transport: what was said is still delivered, or with `rst` thrown away on both sides."""
        self.gone = True
        if self._transport is None:
            return
        if rst:
            self._reset = True
            peer = cast("socket.socket | None", self._transport.get_extra_info("socket"))
            if peer is not None:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()
        else:
            self.flush()
            self._transport.close()

    def abort(self) -> None:
        """Close without ceremony."""
        self.gone = True
        if self._transport is not None:
            self._transport.abort()

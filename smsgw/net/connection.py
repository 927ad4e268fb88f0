"""One TCP connection: moves octets between a socket and a ``Session``, and keeps its one timer. For all edges."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Protocol, cast

from smsgw.protocols.events import CloseNow, Event
from smsgw.protocols.session import Session
from smsgw.recording import Tap
from smsgw.runtime import aio

LETS_GO_AFTER = 5.0
"""Seconds that a closed connection has to hand over what was said before: a peer that is silent or does not read would
keep it for as long as TCP is patient, and with it every request that has no answer."""
_RESET = struct.pack("ii", 1, 0)


class Owner(Protocol):
    """Whoever runs the connection."""

    def on_connected(self, connection: Connection) -> None:
        """The transport is there; the session is about to start."""

    def on_events(self, connection: Connection, events: list[Event]) -> None:
        """Things have happened on the connection, in this order. Must not raise."""

    def on_writable(self, connection: Connection) -> None:
        """The transport takes octets again."""


class Connection(asyncio.Protocol):
    """A thin shell: all decisions are the session's or the owner's."""

    def __init__(self, session: Session, owner: Owner, name: str) -> None:
        self.session = session
        self.name = name
        self.writable = False
        self.bound_at: float | None = None
        """Set by the owner at login."""
        self.lost = 0
        """Requests whose outcome is unknown because the connection ended; set by the owner."""
        self.answered = 0
        """Requests that were answered; counted by the owner."""
        self.tap: Tap | None = None
        """Set by the owner while the connection is being recorded."""
        self.ending: Callable[[Callable[[], object]], None] | None = None
        """Set by the owner: ends the connection, now or later, once the session has no more to say. It is not read
        meanwhile. None: at once."""
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done, with the reason, when the connection is gone and its last events are delivered."""
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._letting_go: aio.Deadline | None = None
        self._why = ""
        self._flush_due = False
        self._reading = True
        self._owner_waits = False

    # --- asyncio.Protocol --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is connected: log in, or wait for a login."""
        transport = cast(asyncio.Transport, transport)  # uvloop's transports are no subclasses
        self._transport = transport
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            # Nagle's algorithm meeting delayed acknowledgements costs up to 40 ms a message.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # "Written" should mean "handed to the kernel", as nearly as it can. A TLS transport takes 0 for always full.
        transport.set_write_buffer_limits(high=1 if transport.get_extra_info("sslcontext") else 0)
        self.writable = True
        self._owner.on_connected(self)
        try:
            self.session.start(self._loop.time())
        except ValueError as exc:  # credentials that do not fit their fields
            self.abort(f"login cannot be written: {exc}")
            return
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Octets from the peer."""
        if self.tap is not None:
            self.tap.received(data, self._loop.time())
        self._deliver(self.session.receive(data, self._loop.time()))

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone: every request without an answer comes back as lost."""
        self.writable = False
        if self._timer is not None:
            self._timer.cancel()
        if self._letting_go is not None:
            self._letting_go.cancel()
        self._transport = None
        if self.tap is not None:
            reset = isinstance(exc, ConnectionResetError)
            self.tap.closed(self._loop.time(), by_us=bool(self._why), reset=reset)
        why = self._why or (f"connection lost: {exc}" if exc else "closed by the peer")
        self._owner.on_events(self, self.session.closed(why, self._loop.time()))
        if not self.closed.done():
            self.closed.set_result(why)

    def pause_writing(self) -> None:
        """The kernel's buffer is full."""
        self.writable = False

    def resume_writing(self) -> None:
        """There is room again."""
        if self._transport is not None and not self._transport.is_closing():
            self.writable = True
            self._owner.on_writable(self)

    # --- for the owner -----------------------------------------------------------------------------------------

    @property
    def peer(self) -> str:
        """The address at the other end; empty when there is none (any more)."""
        name = self._transport.get_extra_info("peername") if self._transport is not None else None
        return str(name[0]) if name else ""

    def hand_over(self, owner: Owner, name: str) -> None:
        """From the next events on, another owner is told."""
        self._owner = owner
        self.name = name

    def flush(self, may: Callable[[], bool] = lambda: True) -> None:
        """Write what the session has to say, read or not as it wants it, and set the timer to its next deadline.
        ``may``: asked right before the write; where it is another's turn by then the connection is cut off instead, and
        requests that were not written are lost like others."""
        output = self.session.output()
        if output and self._transport is not None and not self._transport.is_closing():
            if not may():
                self.abort("it is another's turn to write")
                return
            if self.tap is not None:
                self.tap.written(output, self._loop.time())
            self._transport.write(output)
            if not self.writable and self._transport.get_write_buffer_size() > self.session.config.max_output:
                self.abort("it does not read what it is sent")
        self._listen()
        self._arm()

    def flush_soon(self) -> None:
        """Flush once at the end of this turn of the loop, however often it is asked for."""
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._flush_due = False
        self.flush()

    def close(self, why: str, *, discard: bool = False) -> None:
        """Close politely: log out after the outstanding answers. ``discard``: what the peer has not taken when that is
        over never reaches it, though the kernel would go on trying for minutes: it is another's turn to write then."""
        self._why = self._why or why
        if discard and self._transport is not None and (sock := self._transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._owner_waits = False  # for answers must be read
        self.session.close(self._loop.time(), why)
        self._deliver([])

    def abort(self, why: str) -> None:
        """Close at once."""
        self._why = self._why or why
        if self._transport is not None:
            self._transport.abort()

    def pause_reading(self) -> None:
        """Leave what the peer sends in the kernel until ``resume_reading``, but for one that is being closed."""
        self._owner_waits = not self._why
        self._listen()

    def resume_reading(self) -> None:
        """Take up reading again, unless the session cannot take more."""
        self._owner_waits = False
        self.flush()

    # --- inside ------------------------------------------------------------------------------------------------

    def _deliver(self, events: list[Event]) -> None:
        if events:
            self._owner.on_events(self, events)
        self.flush()
        for event in events:
            if isinstance(event, CloseNow):
                self._why = self._why or event.why
                if self.ending is None:
                    self._end()
                else:
                    self._put_off(self.ending)
                return

    def _put_off(self, ending: Callable[[Callable[[], object]], None]) -> None:
        if self._transport is not None and self._reading and not self._transport.is_closing():
            self._reading = False
            self._transport.pause_reading()
        ending(self._end)

    def _end(self) -> None:
        if (transport := self._transport) is not None:
            if not self._reading and not transport.is_closing():  # TLS ends with an answer of the peer's
                self._reading = True
                transport.resume_reading()
            self._letting_go = aio.Deadline(LETS_GO_AFTER, transport.abort)
            transport.close()

    def _listen(self) -> None:
        """Read from the peer, or leave it in the kernel, as session and owner want it."""
        reading = self.session.wants_input and not self._owner_waits
        if reading is self._reading or self._transport is None or self._transport.is_closing():
            return
        self._reading = reading
        if reading:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()
        self.session.reading(reading, self._loop.time())

    def _arm(self) -> None:
        """One timer: moved only when the deadline comes nearer, else looked at when it fires."""
        if self._transport is None:
            return
        deadline = self.session.deadline()
        if deadline is None:
            return
        deadline = max(deadline, self._loop.time())  # the session says "at once" with a time in the past
        if self._timer is not None:
            if self._timer_at <= deadline:
                return
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._deliver(self.session.tick(self._loop.time()))

"""The connections of one carrier account: opened, logged in, kept, and opened again with growing pauses.

SGIP is different in both directions: a connection that has nothing to send is closed and opened again on demand, and
reports come by connections that the gateway opens to us.
"""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta
from typing import Any, Protocol

import structlog

from smsgw.channels.profiles import Profile
from smsgw.channels.wire.dial import open_connection, tls_context
from smsgw.channels.wire.listener import Listeners, ListenerTaken, Numberings
from smsgw.channels.wire.login import china_timestamp, session_for
from smsgw.channels.wire.recording import ChannelRecording
from smsgw.core.errors import Invalid
from smsgw.core.model import ChannelSpec, LinkStatus
from smsgw.core.words import phrase
from smsgw.net.connection import Connection
from smsgw.protocols.events import Bound, Closed, Event, Refused, Violation
from smsgw.protocols.sgip import rules as sgip_rules
from smsgw.protocols.states import RECEIVING, SENDING, State
from smsgw.runtime import aio, clock
from smsgw.runtime.log import safe
from smsgw.runtime.rate_limited_logger import RateLimitedLogger

log = structlog.get_logger(__name__)
sparing = RateLimitedLogger(log)

CONNECT_TIMEOUT = 10.0
REFUSED_FLOOR = 10.0
"""Seconds to stay away after a refused login: operators block addresses that insist."""
LASTED = 60.0
"""A connection that has held for so many seconds ends the growing of the pauses."""
QUIET_AFTER = 5.0
"""An SGIP connection that ends after as many seconds, with nothing lost, has ended by the book."""
MAX_INCOMING = 16
"""Connections of an SGIP gateway to one channel."""
LISTEN_AGAIN = 5.0
ABORT_PATIENCE = 1.0


_STATES = {
    State.OPEN: "connecting", State.BINDING: "binding", State.BOUND_TRX: "both", State.BOUND_TX: "sending",
    State.BOUND_RX: "receiving",
}  # fmt: skip


class Owner(Protocol):
    """Whoever sends over the connections."""

    @property
    def waiting(self) -> bool:
        """Whether there is something to write."""

    def on_events(self, connection: Connection, events: list[Event]) -> None:
        """Answers, requests and losses, in this order. Must not raise."""

    def on_change(self) -> None:
        """A connection has logged in, or the last one is gone."""

    def on_writable(self) -> None:
        """A connection takes octets again."""


class Connections:
    """``spec.connections`` of them to the carrier, and what its SGIP gateway has opened to us."""

    def __init__(
        self, spec: ChannelSpec, profile: Profile, owner: Owner, listeners: Listeners, numberings: Numberings
    ) -> None:
        self.spec = spec
        self.profile = profile
        self.numbering = numberings.of(self.profile.node, china_timestamp, secrets.randbelow(1 << 31))
        self._owner = owner
        self._listeners = listeners
        self._loop = asyncio.get_running_loop()
        self.outgoing: list[Connection] = []
        self._incoming: list[Connection] = []
        self._on_demand = spec.protocol == "sgip12"
        self.asleep = 0
        """SGIP: connections that were closed because there was nothing to send."""
        self._demand = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self.unbound_since: float | None = self._loop.time()
        """Since when nothing can be sent; None while a connection is logged in, or would be on demand."""
        self.last_bound_at: float | None = None
        self.refused = False
        """Whether the carrier has refused the last login."""
        self._connect_error = ""
        self._listen_error = ""
        self._recording: ChannelRecording | None = None

    # --- life --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to connect."""
        for number in range(1, self.spec.connections + 1):
            for bind in ("transmitter", "receiver") if self.profile.bind == "pair" else ("transceiver",):
                name = f"link.{self.spec.name}.{number}.{bind}"
                self._tasks.append(aio.spawn(self._keep(number, bind), name=name))
        if self._on_demand and self.profile.sgip_listen:
            self._tasks.append(aio.spawn(self._listen(), name=f"listen.{self.spec.name}"))

    async def close(self, why: str, *, discard: bool = False) -> list[asyncio.Future[Any]]:
        """Log out after the outstanding answers; done when the connections are gone. ``discard``: what has not reached
        the carrier by then never does."""
        self._stopping = True
        await self._listeners.leave(self)
        connections = self.all
        for connection in connections:
            connection.close(why, discard=discard)
        return [connection.closed for connection in connections]

    async def abort(self, why: str) -> None:
        """Close at once what is still open."""
        connections = self.all
        for connection in connections:
            connection.abort(why)
        if connections:
            await asyncio.wait([connection.closed for connection in connections], timeout=ABORT_PATIENCE)
        await aio.cancel(*self._tasks)
        if self._recording is not None:
            self._recording.stop("the channel was stopped")

    def change(self, spec: ChannelSpec) -> None:
        """Follow a change of window."""
        self.spec = spec
        for connection in self.outgoing:
            connection.session.window = spec.window

    def record(self, recording: ChannelRecording | None) -> None:
        """Record all that passes from now on; None: no more. ``STATE_CONFLICT``: it is being recorded already."""
        if recording is not None and self._recording is not None:
            raise Invalid("STATE_CONFLICT", reason=phrase("recording.under_way"))
        self._recording = recording
        for connection in self.all:
            connection.tap = recording.tap(connection) if recording is not None else None

    # --- how they are ------------------------------------------------------------------------------------------

    @property
    def all(self) -> list[Connection]:
        """In both directions."""
        return [*self.outgoing, *self._incoming]

    @property
    def sending(self) -> list[Connection]:
        """Those that may be written to: all that are logged in, or the transmitters of pairs."""
        return [connection for connection in self.outgoing if connection.session.state in SENDING]

    @property
    def reachable(self) -> int:
        """Connections that are logged in or would be as soon as there is something to send."""
        return len(self.sending) + self.asleep

    @property
    def whole(self) -> int:
        """Connections that are logged in for both directions."""
        receivers = sum(connection.session.state in RECEIVING for connection in self.outgoing)
        return len(self.sending) if self._on_demand else min(len(self.sending), receivers)

    @property
    def outstanding(self) -> int:
        """Requests without an answer."""
        return sum(connection.session.outstanding for connection in self.outgoing)

    @property
    def links(self) -> tuple[LinkStatus, ...]:
        """All of them, for people."""
        return tuple(self._link(one) for one in self.all)

    def _link(self, one: Connection) -> LinkStatus:
        seconds = None if one.bound_at is None else self._loop.time() - one.bound_at
        return LinkStatus(
            name=one.name, peer=one.peer, state=_STATES.get(one.session.state, "leaving"),
            incoming=one in self._incoming, used=one.session.outstanding, window=one.session.window,
            answered=one.answered, rate=one.answered / max(seconds or 0.0, 1.0),
            since=None if seconds is None else clock.now() - timedelta(seconds=seconds),
        )  # fmt: skip

    @property
    def last_error(self) -> str:
        """What is wrong, or was at last; empty after a login."""
        return self._connect_error or self._listen_error

    def call(self) -> None:
        """There is more to send than the open connections can take: open those that are asleep."""
        if self.asleep:
            self._demand.set()

    # --- to the carrier ----------------------------------------------------------------------------------------

    async def _keep(self, number: int, bind: str) -> None:
        """Connect, stay until the connection is gone, and come back with growing, jittered pauses."""
        backoff = aio.Backoff(0.5, 30.0)
        while not self._stopping:
            connection: Connection | None = None
            started = self._loop.time()
            try:
                connection = await self._connect(number, bind)
                why = await connection.closed
            except (OSError, TimeoutError) as exc:
                why = f"cannot connect: {exc or type(exc).__name__}"
            except Exception as exc:  # whatever it was, the connection must be tried again
                log.exception("link.failed", channel=self.spec.name, link=number)
                why = f"cannot connect: {safe(exc)}"
            finally:
                if connection is not None and connection in self.outgoing:
                    self.outgoing.remove(connection)
            if self._stopping:
                return
            if self._on_demand and connection is not None and self._was_quiet(connection):
                log.info("link.idle", channel=self.spec.name, link=number, why=why)
                await self._sleep()
                backoff.reset()
                continue
            if connection is not None and self._loop.time() - started > LASTED:
                backoff.reset()
            if not self.refused:
                self._connect_error = why
            wait = backoff.next(REFUSED_FLOOR if self.refused else 0.0)
            log.warning("link.down", channel=self.spec.name, link=number, why=why, retry_in_s=round(wait, 1))
            if not self.sending and self.unbound_since is None:
                self.unbound_since = self._loop.time()
                self._owner.on_change()
            await asyncio.sleep(wait)

    async def _connect(self, number: int, bind: str) -> Connection:
        profile = self.profile
        name = f"{self.spec.name}/{number}" + ("" if bind == "transceiver" else f"/{bind}")
        connection = Connection(session_for(self.spec, profile, self.numbering, bind), self, name)
        tls = None
        async with asyncio.timeout(CONNECT_TIMEOUT):
            if profile.tls:
                tls = await asyncio.to_thread(tls_context, profile.tls_ca, insecure=profile.tls_insecure)
            if profile.tls_insecure:
                log.warning("link.certificate_not_checked", channel=self.spec.name, link=name)
            await open_connection(
                connection, self.spec.host, self.spec.port,
                source=profile.source_address, tls=tls, name=profile.tls_name,
            )  # fmt: skip
        self.outgoing.append(connection)
        if self._stopping:
            connection.close("stopped")
        return connection

    def _was_quiet(self, connection: Connection) -> bool:
        """Whether an SGIP connection ended because nothing went over it, by whichever side."""
        quiet = min(QUIET_AFTER, self.profile.idle)
        if connection.bound_at is None or connection.lost:
            return False
        return self._loop.time() - connection.bound_at >= quiet

    async def _sleep(self) -> None:
        """Until there is something to send."""
        self.asleep += 1
        self.unbound_since = None
        if self._owner.waiting:
            self._demand.set()
        try:
            await self._demand.wait()
        finally:
            self.asleep -= 1
            self._demand.clear()
        if not self.sending:
            self.unbound_since = self._loop.time()

    # --- from the gateway (SGIP) -------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Have a place where the gateway can bring reports and messages from phones."""
        while not self._stopping:
            try:
                await self._listeners.join(self)
            except (OSError, ListenerTaken) as exc:
                error = f"cannot listen on {self.profile.sgip_listen}: {exc}"
                if error != self._listen_error:
                    log.error("sgip.not_listening", channel=self.spec.name, error=error)
                self._listen_error = error
                await asyncio.sleep(LISTEN_AGAIN)
            else:
                self._listen_error = ""
                return

    def take_over(self, connection: Connection) -> int:
        """Own a connection of the gateway; 0 or the Result of a refusal."""
        if self._stopping:
            return sgip_rules.NODE_BUSY
        if len(self._incoming) >= MAX_INCOMING:
            return sgip_rules.TOO_MANY_CONNECTIONS
        self._incoming.append(connection)
        connection.bound_at = self._loop.time()
        if self._recording is not None:
            connection.tap = self._recording.tap(connection)
        sparing.info("sgip.gateway_bound", self.spec.name, channel=self.spec.name, peer=connection.peer)
        return 0

    # --- connection.Owner --------------------------------------------------------------------------------------

    def on_connected(self, connection: Connection) -> None:
        """The session says what is to be said."""
        if self._recording is not None:
            connection.tap = self._recording.tap(connection)

    def on_writable(self, connection: Connection) -> None:
        """The kernel takes octets again."""
        self._owner.on_writable()

    def on_events(self, connection: Connection, events: list[Event]) -> None:
        """See to what concerns the connection itself; the rest is the owner's."""
        for event in events:
            match event:
                case Bound():
                    self._on_bound(connection)
                case Closed(lost=lost):
                    connection.lost = len(lost)
                    if connection in self._incoming:
                        self._incoming.remove(connection)
                case Refused(status=status, reason=reason):
                    self.refused = True
                    self._connect_error = f"login refused: {reason} (status {status})"
                    log.error(  # a clock that is wrong fails the proof of CMPP and SMGP: theirs is in their log
                        "link.refused", channel=self.spec.name, status=status, reason=reason,
                        clock_in_china=f"{china_timestamp():010d}",
                    )  # fmt: skip
                case Violation(kind=kind, detail=detail):
                    sparing.warning(
                        "link.violation", (connection.name, kind),
                        channel=self.spec.name, link=connection.name, kind=kind, detail=detail,
                    )  # fmt: skip
                case _:
                    pass
        self._owner.on_events(connection, events)

    def _on_bound(self, connection: Connection) -> None:
        connection.bound_at = self._loop.time()
        self.refused = False
        if connection.session.state in SENDING:
            self.unbound_since = None
            self.last_bound_at = connection.bound_at
        self._connect_error = ""
        log.info("link.bound", channel=self.spec.name, link=connection.name, dialect=connection.session.dialect.name)
        self._owner.on_change()

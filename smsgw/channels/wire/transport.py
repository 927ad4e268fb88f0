"""The transport of the four wire protocols: parts become submits of a session, and its events what a channel knows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from typing import Any

import structlog

from smsgw.channels.profiles import Profile
from smsgw.channels.transport import Submitted, Traffic
from smsgw.channels.wire.connections import Connections
from smsgw.channels.wire.doubts import Doubts
from smsgw.channels.wire.listener import Listeners, Numberings
from smsgw.channels.wire.mapping import INTERMEDIATE, Incoming, mapping_for
from smsgw.channels.wire.mapping.base import Intermediate
from smsgw.channels.wire.recording import ChannelRecording
from smsgw.channels.wire.submit_recording import Keeping
from smsgw.core.model import ChannelSpec, Claimed, LinkStatus, Outcome, OutcomeKind, Report
from smsgw.net.connection import Connection
from smsgw.pipeline.outcomes.submit_log import SubmitLog
from smsgw.protocols.events import Answer, Closed, Event, Expired, Late, Request
from smsgw.protocols.pdu import Pdu
from smsgw.protocols.session import NotBound, WindowFull
from smsgw.runtime.rate_limited_logger import RateLimitedLogger
from smsgw.store.engine.journal import Key

log = structlog.get_logger(__name__)
sparing = RateLimitedLogger(log)


class WireTransport:
    """A ``channels.transport.Transport`` over ``Connections``, which is told of them as their ``connections.Owner``."""

    def __init__(
        self,
        spec: ChannelSpec,
        profile: Profile,
        traffic: Traffic,
        listeners: Listeners,
        numberings: Numberings,
        submits: SubmitLog,
    ) -> None:
        self._spec = spec
        self._profile = profile
        self._traffic = traffic
        self._mapping = mapping_for(spec, profile)
        self._connections = Connections(spec, profile, self, listeners, numberings)
        self._doubts = Doubts(spec.name)
        self._touched: list[Connection] = []
        """Connections that have submits to write."""
        self._written: dict[Key, str] = {}
        """Carrier's ids of parts that wait for their answer, where the id is ours to make."""
        self._submits = submits
        self._keeping: Keeping | None = None
        """While its submits are recorded."""
        self._keep()

    # --- life --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to connect."""
        self._connections.start()

    async def close(self, why: str, *, discard: bool = False) -> list[asyncio.Future[Any]]:
        """Log out after the outstanding answers; done when the connections are gone."""
        return await self._connections.close(why, discard=discard)

    async def abort(self, why: str) -> None:
        """Close at once what is still open."""
        await self._connections.abort(why)

    def change(self, spec: ChannelSpec) -> None:
        """Follow a change of window, and whether submits are recorded."""
        self._spec = spec
        self._connections.change(spec)
        self._keep()

    def _keep(self) -> None:
        wanted, keeping = self._spec.recording, self._keeping
        if wanted is None:
            self._keeping = None
        elif keeping is None or keeping.recording != wanted:
            self._keeping = Keeping(self._spec.id, wanted, self._submits)

    async def record(self, *, seconds: float, max_bytes: int) -> AsyncGenerator[bytes, None]:
        """All that passes on the wire, masked, as the lines of a file. ``STATE_CONFLICT`` while another one runs."""
        recording = ChannelRecording(self._spec, self._profile, seconds=seconds, max_bytes=max_bytes)
        self._connections.record(recording)
        try:
            async with contextlib.aclosing(recording.lines()) as lines:
                async for piece in lines:
                    yield piece
        finally:
            self._connections.record(None)

    # --- room --------------------------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """Places in the windows of connections that take octets; of those in doubt, one now and then."""
        return sum(places for _, places in self._doubts.places(self._connections.sending))

    @property
    def window(self) -> int:
        """Of all connections that may be written to."""
        return sum(connection.session.window for connection in self._connections.sending)

    @property
    def window_used(self) -> int:
        """Places that are taken."""
        return sum(connection.session.outstanding for connection in self._connections.sending)

    @property
    def outstanding(self) -> int:
        """Submits without an answer."""
        return self._connections.outstanding

    @property
    def doubted(self) -> bool:
        """Whether no connection that is open has answered since submits were lost by it."""
        return self._doubts.all_of(self._connections.sending)

    @property
    def trial_due(self) -> bool:
        """Whether one part may be written all the same."""
        return self._doubts.trial_due(self._connections.sending, asleep=self.asleep)

    @property
    def tried_in_vain(self) -> int:
        """Parts that were tried so and had no answer."""
        return self._doubts.misses

    def call(self) -> None:
        """Open the connections that are asleep."""
        self._connections.call()

    # --- submit ------------------------------------------------------------------------------------------------

    def prepare(self, claimed: Claimed) -> Pdu:
        """The submit that carries the part."""
        return self._mapping.submit(claimed)

    def submit(self, prepared: Sequence[tuple[Claimed, Pdu]], now: float) -> Submitted:
        """Fill the windows, the emptiest first."""
        submitted = Submitted()
        spread = iter(sorted(self._doubts.places(self._connections.sending), key=lambda one: -one[1]))
        connection: Connection | None = None
        places = 0
        keeping = self._keeping
        for claimed, pdu in prepared:
            if not places:
                connection, places = next(spread, (None, 0))
                if connection is not None:
                    self._touched.append(connection)
            if connection is None:
                submitted.unsent.append(claimed)
                continue
            try:
                connection.session.request(pdu, now, claimed)
            except ValueError as exc:
                submitted.refused.append((claimed, exc))
                continue
            except (NotBound, WindowFull):  # the session has ended in the middle of this batch
                submitted.unsent.append(claimed)
                continue
            places -= 1
            self._doubts.wrote(connection)
            if carrier_id := self._mapping.written(pdu):
                self._written[claimed.key] = carrier_id
                submitted.named.append((claimed.key, carrier_id))
            if keeping is not None:
                self._record(keeping, keeping.submitted, connection.session.dialect, pdu, claimed, now)
        return submitted

    def _record(self, keeping: Keeping, note: Callable[..., None], *what: Any) -> None:
        """Note something that has happened; what goes wrong with it is the recording's alone."""
        try:
            note(*what)
        except Exception:
            keeping.leave_out()
            sparing.error("submits.not_noted", self._spec.name, channel=self._spec.name, exc_info=True)

    def flush(self, may: Callable[[], bool]) -> None:
        """Hand to the sockets what was submitted, as long as ``may`` says so."""
        touched, self._touched = self._touched, []
        for connection in touched:
            connection.flush(may)

    # --- how it is ---------------------------------------------------------------------------------------------

    @property
    def reachable(self) -> int:
        """Connections that are logged in or would be as soon as there is something to send."""
        return self._connections.reachable

    @property
    def asleep(self) -> int:
        """SGIP: connections that were closed because there was nothing to send."""
        return self._connections.asleep

    @property
    def bound(self) -> int:
        """Connections that are logged in for both directions."""
        return self._connections.whole

    @property
    def links(self) -> tuple[LinkStatus, ...]:
        """All connections, in both directions."""
        return self._connections.links

    @property
    def unbound_since(self) -> float | None:
        """Since when nothing can be sent."""
        return self._connections.unbound_since

    @property
    def last_bound_at(self) -> float | None:
        """When a connection that may be written to has last logged in."""
        return self._connections.last_bound_at

    @property
    def refused(self) -> bool:
        """Whether the carrier has refused the last login."""
        return self._connections.refused

    @property
    def last_error(self) -> str:
        """What is wrong with the connections, or was at last."""
        return self._connections.last_error

    # --- connections.Owner -------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> bool:
        """Whether the channel has something to submit."""
        return self._traffic.waiting

    def on_change(self) -> None:
        """A connection has logged in, or the last one is gone."""
        self._traffic.on_change()

    def on_writable(self) -> None:
        """A connection takes octets again."""
        self._traffic.on_room()

    def on_events(self, connection: Connection, events: list[Event]) -> None:
        """Sort what a connection says into outcomes, reports and messages."""
        answered: list[Outcome] = []
        lost: list[Outcome] = []
        for event in events:
            match event:
                case (
                    Answer(tag=Claimed() as tag, pdu=pdu, status=status, octets=octets)
                    | Late(tag=Claimed() as tag, pdu=pdu, status=status, octets=octets)
                ):
                    if (keeping := self._keeping) is not None:
                        self._record(keeping, keeping.answered, connection.session.dialect, tag, octets)
                    self._doubts.answered(connection)
                    answered.append(self._outcome(tag, pdu, status))
                case Request():
                    self._take(connection, event)
                case Expired(tag=Claimed() as tag):
                    self._doubts.lost(connection, expired=True)
                    lost.append(self._unknown(tag, "ANSWER_TIMEOUT"))
                case Closed(why=why, lost=tags) if tags:
                    self._doubts.lost(connection, expired=False)
                    log.warning("link.lost_window", channel=self._spec.name, parts=len(tags), why=why)
                    lost += [self._unknown(tag, "LINK_LOST") for tag in tags if isinstance(tag, Claimed)]
                case _:
                    pass
        if answered:
            connection.answered += len(answered)
            self._traffic.on_answers(answered)
        if lost:
            self._traffic.on_lost(lost)

    def _outcome(self, claimed: Claimed, answer: Pdu, status: int) -> Outcome:
        self._written.pop(claimed.key, None)
        try:
            return self._mapping.outcome(claimed, answer, status)
        except Exception:  # what cannot be understood is not known; its neighbours must not suffer
            sparing.error(
                "answer.unreadable", self._spec.name,
                channel=self._spec.name, id=str(claimed.id), answer=type(answer).__name__, exc_info=True,
            )  # fmt: skip
            return self._unknown(claimed, "ANSWER_UNREADABLE")

    def _unknown(self, claimed: Claimed, why: str) -> Outcome:
        carrier_id = self._written.pop(claimed.key, "")
        return Outcome(*claimed.key, OutcomeKind.UNKNOWN, carrier_id=carrier_id, code=why)

    def _take(self, connection: Connection, request: Request) -> None:
        """Answer a request of the carrier when what it brings is durable; at once where there is nothing to store."""
        incoming = self._read(request.pdu)
        if incoming is None:
            connection.session.forget(request)
        elif isinstance(incoming, Intermediate):
            connection.session.answer(request)
            connection.flush_soon()
        else:
            if isinstance(incoming, Report):
                incoming = replace(incoming, pdu=request.octets)
            durable = self._traffic.on_incoming(incoming, connection)
            durable.add_done_callback(lambda done: _acknowledge(connection, request, done))

    def _read(self, pdu: Pdu) -> Incoming | None:
        name = self._spec.name
        try:
            return self._mapping.incoming(pdu)
        except ValueError as exc:
            # Nothing can be made of it, and a refusal would make the carrier send it for ever.
            sparing.warning("incoming.unreadable", name, channel=name, error=str(exc))
        except (OSError, MemoryError) as exc:  # the machine lacks something: not answered, so it comes again
            sparing.error("incoming.put_off", name, channel=name, error=repr(exc))
            return None
        except Exception:  # a mistake of ours must not take the connection, and all that is on it, down
            sparing.error("incoming.failed", name, channel=name, pdu=type(pdu).__name__, exc_info=True)
        return INTERMEDIATE


def _acknowledge(connection: Connection, request: Request, done: asyncio.Future[Any]) -> None:
    if done.cancelled() or done.exception() is not None:
        connection.session.forget(request)  # not stored: not answered, so the carrier keeps it and sends it again
    else:
        connection.session.answer(request)
    connection.flush_soon()

"""One carrier account, as this node runs it: its links, and the dispatcher that sends over them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterable
from dataclasses import replace

from smsgw.channels.claims import Claims
from smsgw.channels.dispatcher import Dispatcher
from smsgw.channels.links import Links
from smsgw.channels.profiles import Profile
from smsgw.channels.recording import ChannelRecording
from smsgw.channels.services import Services
from smsgw.core.model import ChannelSpec, ChannelStatus
from smsgw.pipeline.fleet import Membership, Queue
from smsgw.store.engine.leases import Lease

GRACE = 60.0
"""Seconds after a lost connection during which messages are still accepted for a channel."""
LEFT = "the lease could not be renewed"
LEAVE_PATIENCE = 1.0
"""A channel whose lease could not be renewed waits this many seconds for answers: then the lease is another's."""
STOP_PATIENCE = 12.0
"""A channel that stops waits this many seconds for answers, log-outs and the claim that is under way."""


class Channel:
    """A channel that this node owns: runs from ``start`` to ``stop``."""

    def __init__(
        self, spec: ChannelSpec, lease: Lease, pools: dict[int, Membership], services: Services
    ) -> None:
        self.spec = spec
        self.lease = lease
        self._services = services
        self._loop = asyncio.get_running_loop()
        self._claims = Claims(spec.id, spec.name, lease, pools, services)
        self._dispatcher = Dispatcher(spec, lease, self._claims, services)
        self._links = Links(spec, self._dispatcher, services.listeners, services.numberings)
        self._dispatcher.links = self._links
        self._stopping = False
        self.left = False
        """Logged out because its lease could not be renewed in time."""

    # --- life --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Recovery is done and the lease is ours: connect and dispatch."""
        self._services.tables.sit(self.spec.id, self, self._claims.pools)
        self._links.start()
        self._dispatcher.start()

    async def stop(self, why: str = "stopped", *, patience: float = STOP_PATIENCE) -> None:
        """Stop claiming, wait for answers that are under way, log out, give back what was never written."""
        self._stopping = True
        self._services.tables.leave(self.spec.id)
        pending = [*self._dispatcher.stop(), *await self._links.close(why)]
        if pending:
            await asyncio.wait(pending, timeout=patience)
        await self._links.abort(why)
        await self._dispatcher.end()

    async def leave(self) -> None:
        """Log out at the lease's deadline: a carrier that takes one login must be free for the next owner's."""
        self.left = True
        gone = await self._links.close(LEFT)
        if gone:
            await asyncio.wait(gone, timeout=LEAVE_PATIENCE)
        await self._links.abort(LEFT)

    def change(self, spec: ChannelSpec) -> None:
        """Follow a change of window, rate or desired state while running (other changes restart the channel)."""
        self.spec = spec
        self._links.change(spec)
        self._dispatcher.change(spec)

    def pull_from(self, pools: dict[int, Membership]) -> None:
        """Follow a change of routes."""
        if pools != self._claims.pools:
            self._claims.pools = pools
            self._services.tables.sit(self.spec.id, self, pools)
            self._dispatcher.look_everywhere()

    def set_aside(self) -> None:
        """Accounts were stopped or started: what is in hand of stopped ones goes back."""
        self._dispatcher.set_aside()
        self._dispatcher.look_everywhere()

    def restart_needed(self, spec: ChannelSpec) -> bool:
        """Whether a change cannot be followed while running."""
        followed = replace(
            self.spec, window=spec.window, rate=spec.rate, desired=spec.desired, version=spec.version,
            unknown_policy=spec.unknown_policy,
        )  # fmt: skip
        return followed != spec

    def look_for_deferred(self) -> None:
        """A part has been put down for this channel alone."""
        self._claims.deferred_in(0.0)
        self._dispatcher.wake()

    @property
    def profile(self) -> Profile:
        """How its carrier differs."""
        return self._links.profile

    @property
    def delivered_at(self) -> float:
        """When the last report of a delivery came, on the loop's clock."""
        return self._dispatcher.delivered_at

    @property
    def lost_claims(self) -> int:
        """Parts of the last minutes that were claimed, in nobody's hands, and given back."""
        return self._claims.lost

    def announce(self, queues: Iterable[Queue]) -> None:
        """Messages have been queued."""
        if self._claims.announce(queues):
            self._dispatcher.wake()

    async def record(self, *, seconds: float, max_bytes: int) -> AsyncGenerator[bytes, None]:
        """All that passes on the wire, masked, as the lines of a file. ``STATE_CONFLICT`` while another one runs."""
        recording = ChannelRecording(self.spec, self._links.profile, seconds=seconds, max_bytes=max_bytes)
        self._links.record(recording)
        try:
            async with contextlib.aclosing(recording.lines()) as lines:
                async for piece in lines:
                    yield piece
        finally:
            self._links.record(None)

    # --- what others may know ----------------------------------------------------------------------------------

    @property
    def reachable(self) -> int:
        """Links that are logged in or would be as soon as there is something to send."""
        return self._links.reachable

    @property
    def last_error(self) -> str:
        """What is wrong with the links, or was at last."""
        return self._links.last_error

    @property
    def _over(self) -> bool:
        """Takes nothing new any more."""
        return self._stopping or self._dispatcher.draining

    def available(self) -> bool:
        """Whether new messages may be routed here: bound now, or a moment ago."""
        if self._over:
            return False
        if self.reachable:
            return True
        lost_at = self._links.unbound_since
        bound_before = self._links.last_bound_at is not None
        return bound_before and (lost_at is None or self._loop.time() - lost_at < GRACE)

    def healthy(self) -> bool:
        """Logged in (or resting), and the carrier answers."""
        return not (self._over or self._dispatcher.stalled()) and bool(self.reachable)

    def has_room(self) -> bool:
        """Could write a part at once."""
        return self._dispatcher.has_room()

    def status(self, submitted_today: int, pools: tuple[str, ...]) -> ChannelStatus:
        """For people. ``pools`` are the names of the pools it pulls from."""
        links = self._links
        sending = links.sending
        used = sum(link.session.outstanding for link in sending)
        window = sum(link.session.window for link in sending)
        state = self._state()
        if not sending:
            reason = "nothing to send" if state == "idle" else "not bound"
        elif self._dispatcher.stalled() or self._dispatcher.pacer.slowed:
            reason = "carrier slow"
        elif self._dispatcher.waiting and used < window:
            reason = "rate limit"
        elif used >= window:
            reason = "window full"
        else:
            reason = "nothing to send"
        return ChannelStatus(
            id=self.spec.id, name=self.spec.name, protocol=self.spec.protocol,
            carriers=tuple(sorted(self.spec.carriers)), access_code=self.spec.access_code, state=state,
            bound=links.whole, connections=self.spec.connections, window_used=used, window=window,
            rate_now=self._dispatcher.rate_now, rate_limit=self.spec.rate, submitted_today=submitted_today,
            last_error=self.last_error, pools=pools, reason=reason,
        )  # fmt: skip

    def _state(self) -> str:
        links = self._links
        if self._over:
            return "draining" if links.sending else "stopped"
        if links.whole:
            return "bound"
        return "refused" if links.refused else "idle" if links.asleep else "connecting"

"""One carrier account, as this node runs it: its transport, and the dispatcher that sends over it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import replace

from smsgw.channels import profiles
from smsgw.channels.claims import Claims
from smsgw.channels.dispatcher import Dispatcher
from smsgw.channels.services import Services
from smsgw.channels.transport import Transport
from smsgw.channels.wire.transport import WireTransport
from smsgw.core.model import ChannelSpec, ChannelStatus, Claimed
from smsgw.core.throttling import Spell
from smsgw.pipeline.fleet import Membership, Queue
from smsgw.runtime import clock
from smsgw.store.engine.leases import Lease
from smsgw.store.messages.calls import Fence

GRACE = 60.0
"""Seconds after a lost connection during which messages are still accepted for a channel."""
LEFT = "the lease could not be renewed"
LEAVE_PATIENCE = 1.0
"""A channel whose lease could not be renewed waits this many seconds for answers: then the lease is another's."""
STOP_PATIENCE = 12.0
"""A channel that stops waits this many seconds for answers, log-outs and the claim that is under way."""


class Channel:
    """A channel that this node owns: runs from ``start`` to ``stop``."""

    def __init__(self, spec: ChannelSpec, lease: Lease, pools: dict[int, Membership], services: Services) -> None:
        self.spec = spec
        self.lease = lease
        self._services = services
        self._loop = asyncio.get_running_loop()
        self._claims = Claims(spec.id, spec.name, lease, pools, services)
        self._dispatcher = Dispatcher(spec, lease, self._claims, services)
        self.profile = profiles.parse(spec.profile, spec.protocol)
        """How its carrier differs."""
        self._transport: Transport = WireTransport(
            spec, self.profile, self._dispatcher, services.listeners, services.numberings, services.submits
        )
        self._dispatcher.transport = self._transport
        self._stopping = False
        self.left = False
        """Logged out because its lease could not be renewed in time."""

    # --- life --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Recovery is done and the lease is ours: connect and dispatch."""
        self._services.shares.join(self.spec.id, self, self._claims.pools)
        self._transport.start()
        self._dispatcher.start()

    async def stop(self, why: str = "stopped", *, patience: float = STOP_PATIENCE) -> None:
        """Stop claiming, wait for answers that are under way, log out, give back what was never written."""
        self._stopping = True
        self._services.shares.leave(self.spec.id)
        pending = [*self._dispatcher.stop(), *await self._transport.close(why)]
        if pending:
            await asyncio.wait(pending, timeout=patience)
        await self._transport.abort(why)
        await self._dispatcher.end()

    async def leave(self) -> None:
        """Log out at the lease's deadline: a carrier that takes one login must be free for the next owner's."""
        self.left = True
        gone = await self._transport.close(LEFT, discard=True)
        if gone:
            await asyncio.wait(gone, timeout=LEAVE_PATIENCE)
        await self._transport.abort(LEFT)

    def change(self, spec: ChannelSpec) -> None:
        """Follow a change of window, rate or desired state while running (other changes restart the channel)."""
        self.spec = spec
        self._transport.change(spec)
        self._dispatcher.change(spec)

    def pull_from(self, pools: dict[int, Membership]) -> None:
        """Follow a change of routes."""
        if pools != self._claims.pools:
            self._claims.pools = pools
            self._services.shares.join(self.spec.id, self, pools)
            self._dispatcher.look_everywhere()

    def set_aside(self) -> None:
        """Accounts were stopped or started: what is in hand of stopped ones goes back."""
        self._dispatcher.set_aside()
        self._dispatcher.look_everywhere()

    def restart_needed(self, spec: ChannelSpec) -> bool:
        """Whether a change cannot be followed while running."""
        followed = replace(
            self.spec, window=spec.window, rate=spec.rate, desired=spec.desired, version=spec.version,
            unknown_policy=spec.unknown_policy, recording=spec.recording,
        )  # fmt: skip
        return followed != spec

    def look_for_deferred(self) -> None:
        """A part has been put down for this channel alone."""
        self._claims.deferred_in(0.0)
        self._dispatcher.wake()

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

    def comes_back(self, pools: set[int]) -> None:
        """``Running``: older ones are about to be queued again."""
        self._claims.comes_back(pools)

    def offer(self, queue: Queue, account_id: int, parts: int) -> float | None:
        """``Running``: whether it would take a message as it is accepted."""
        return self._dispatcher.offer(queue, account_id, parts)

    def reserve(self, message: Sequence[Claimed]) -> Fence:
        """``Running``: keep room for it."""
        return self._dispatcher.reserve(message)

    def entered(self, reserved: Sequence[Claimed], claimed: Sequence[Claimed]) -> None:
        """``Running``: so much of it is ours."""
        self._dispatcher.entered(reserved, claimed)

    def in_doubt(self, reserved: Sequence[Claimed]) -> None:
        """``Running``: it may be ours, and is in nobody's hand."""
        self._dispatcher.in_doubt(reserved)

    def record(self, *, seconds: float, max_bytes: int) -> AsyncGenerator[bytes, None]:
        """All that passes, masked, as the lines of a file. ``STATE_CONFLICT`` while another one runs."""
        return self._transport.record(seconds=seconds, max_bytes=max_bytes)

    # --- what others may know ----------------------------------------------------------------------------------

    @property
    def reachable(self) -> int:
        """Connections that are logged in or would be as soon as there is something to send."""
        return self._transport.reachable

    @property
    def last_error(self) -> str:
        """What is wrong with the connections, or was at last."""
        return self._transport.last_error

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
        lost_at = self._transport.unbound_since
        bound_before = self._transport.last_bound_at is not None
        return bound_before and (lost_at is None or self._loop.time() - lost_at < GRACE)

    def healthy(self) -> bool:
        """Logged in (or resting), and the carrier answers."""
        return not (self._over or self._dispatcher.stalled()) and bool(self.reachable)

    @property
    def refused(self) -> bool:
        """Whether the carrier does not let it in."""
        return self._state() == "refused"

    def has_room(self) -> bool:
        """Could write a part at once."""
        return self._dispatcher.has_room()

    def throttled(self, *, ended: bool = False) -> Sequence[Spell]:
        """What is to be kept of how its carrier throttles it. ``ended``: the channel stops."""
        return self._dispatcher.throttling.look(clock.now(), self._dispatcher.slowed_to, ended=ended)

    def throttled_kept(self, spells: Sequence[Spell]) -> None:
        """It is."""
        self._dispatcher.throttling.told(spells, clock.now())

    def status(self, submitted_today: int, pools: tuple[str, ...]) -> ChannelStatus:
        """For people. ``pools`` are the names of the pools it pulls from."""
        window, used = self._transport.window, self._transport.window_used
        state = self._state()
        silent = self._dispatcher.stalled()
        if not window and not (silent and state == "idle"):
            reason = "nothing to send" if state == "idle" else "not bound"
        elif silent:
            reason = "carrier slow"
        elif self._dispatcher.pacer.slowed:
            reason = "carrier throttles"
        elif self._dispatcher.waiting and used < window:
            reason = "rate limit"
        elif used >= window:
            reason = "window full"
        else:
            reason = "nothing to send"
        return ChannelStatus(
            id=self.spec.id, name=self.spec.name, protocol=self.spec.protocol,
            carriers=tuple(sorted(self.spec.carriers)), access_code=self.spec.access_code, state=state,
            bound=self._transport.bound, connections=self.spec.connections, window_used=used, window=window,
            rate_now=self._dispatcher.rate_now, rate_limit=self.spec.rate, submitted_today=submitted_today,
            last_error=self.last_error, pools=pools, reason=reason,
            links=self._transport.links, rate_allowed=self._dispatcher.slowed_to,
            throttled=self._dispatcher.throttling.now,
        )  # fmt: skip

    def _state(self) -> str:
        if self._over:
            return "draining" if self._transport.window else "stopped"
        if self._transport.bound:
            return "bound"
        if self._transport.refused:
            return "refused"
        return "idle" if self._transport.asleep else "connecting"

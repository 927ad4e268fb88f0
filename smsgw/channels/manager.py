"""Which channels this node runs: follows the configuration and the leases, and says how they are doing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

import structlog
from asyncpg import PostgresError

from smsgw.channels import balance, profiles
from smsgw.channels.balance import Balance, Seat
from smsgw.channels.changes import Changes
from smsgw.channels.channel import GRACE, STOP_PATIENCE, Channel
from smsgw.channels.probing import Probing
from smsgw.channels.services import Services
from smsgw.core.errors import Invalid, SmsgwError
from smsgw.core.ids import first_id, time_of
from smsgw.core.model import TEST_CHANNEL, AtWork, ChannelSpec, ChannelStatus, UnknownPolicy
from smsgw.core.queue_cursors import REST
from smsgw.pipeline.fleet import Membership, membership, pools_of
from smsgw.pipeline.outcomes.recovery import correct_taken_over, give_back_unwritten, recover_channel
from smsgw.pipeline.outcomes.writer import MAX_AGE
from smsgw.pipeline.periodic import Periodic
from smsgw.pipeline.snapshot import Snapshot
from smsgw.pipeline.upkeep import failover
from smsgw.runtime import clock, failpoints
from smsgw.store.config import channels as store, throttles
from smsgw.store.engine import leases
from smsgw.store.engine.database import Database
from smsgw.store.engine.journal import Replay
from smsgw.store.engine.leases import Lease
from smsgw.store.engine.rows import each
from smsgw.store.messages import claiming, counters

log = structlog.get_logger(__name__)

FOLLOW_EVERY = 1.0
SAY_EVERY = 3.0
ADOPT_EVERY = 30.0
COMMIT_PATIENCE = 10.0
"""Seconds to wait for the commit of a stopped channel's outcomes (they stay queued when it takes longer)."""
STARTING = 4
"""Channels that are taken and recovered at the same time: each needs connections to the database."""
FORGOTTEN = Replay()
FREE_EVERY = 1.0
GONE_AFTER = 3.0
"""A channel that has not been healthy for so many seconds keeps nothing waiting that another one may take."""
LAPSE_EVERY = 0.5
PROBE_EVERY = 3.0
THROTTLES_EVERY = 5.0
FRESH = 15.0
"""Seconds for which another node's word about its channels counts."""


class TestChannel(Protocol):
    """The carrier that is simulated inside the daemon: that of test keys, and of channels that are said to be so."""

    async def channel(self) -> ChannelSpec:
        """The channel of test keys, its carrier running."""

    async def lead(self, spec: ChannelSpec) -> ChannelSpec:
        """The same channel, leading there."""


class Siblings(Protocol):
    """The other workers of this installation: how the channels are shared out among them. A single process has none."""

    @property
    def several(self) -> bool:
        """There are others."""

    @property
    def running(self) -> int:
        """How many processes of the installation exist, this one among them."""

    @property
    def able(self) -> bool:
        """One of them reaches the database, and would take what we must leave."""

    def mine(self, channel_id: int) -> bool:
        """Whether a channel that nobody has is this worker's to take."""

    def due_back(self, channel_id: int) -> bool:
        """Whether a channel that runs here goes back to the worker whose it is."""

    def line(self, channel_id: int) -> ChannelStatus | None:
        """How a channel is that runs on another worker."""


class ChannelManager:
    """Runs the started channels whose lease this node holds."""

    def __init__(
        self, database: Database, services: Services, replay: Replay, test_carrier: TestChannel, siblings: Siblings
    ) -> None:
        self._database = database
        self._siblings = siblings
        self._left_by: dict[int, Replay] = {}
        """Node of a worker that has died -> what its journal knows, until it is back."""
        self._nothing_left = False
        """The last look has found nothing in flight that the journal may know of."""
        self._snapshots = services.snapshots
        self._fleet = services.fleet
        self._test_carrier = test_carrier
        self._services = services
        self._replay = replay
        self._specs: dict[int, ChannelSpec] = {}
        self._channels: dict[int, Channel] = {}
        self._leases: dict[int, Lease] = {}
        self._snapshot = Snapshot()
        """The one that was taken up."""
        self._today: dict[int, int] = {}
        self._elsewhere: dict[int, store.ChannelSaid] = {}
        self._heard_at = 0.0
        """When that was read, on the loop's clock."""
        self._others: set[int] = set()
        """Channels that another node has spoken of a moment ago."""
        self._removed: Sequence[int] = ()
        """Channels that are no more, and may still have something waiting."""
        self._well_at: dict[int, float] = {}
        """When each channel was last seen healthy."""
        self._probing = Probing(database, services.ids)
        self._past: dict[int, set[int]] = {}
        """Epochs of this run under which a channel may still have claims that were never written."""
        self._balance = Balance(database, services.cluster.node)
        self._following = asyncio.Lock()
        self._changes = Changes()
        self._starting = asyncio.Semaphore(STARTING)
        self._stopping = False

    async def start(self) -> None:
        """Take what is free, and recover it."""
        await correct_taken_over(self._database, self._services.outcomes, self._replay)
        await self._look_around()
        await self.follow_now()
        await self._adopt()
        await self._say()

    def periodics(self) -> Sequence[Periodic]:
        """What comes round between ``start`` and ``stop``."""
        return (
            Periodic("channels.follow", FOLLOW_EVERY, self.follow),
            Periodic("channels.look", balance.LOOK_EVERY, self._look_around),
            Periodic("leases.renew", leases.RENEW_EVERY, self._renew),
            Periodic("leases.lapse", LAPSE_EVERY, self._lapse),
            Periodic("channels.adopt", ADOPT_EVERY, self._adopt),
            Periodic("channels.probe", PROBE_EVERY, self._probe),
            Periodic("channels.say", SAY_EVERY, self._say),
            Periodic("channels.waits", SAY_EVERY, self._see_waits, apart=REST),
            Periodic("channels.throttles", THROTTLES_EVERY, self._keep_throttles),
            Periodic("channels.free", FREE_EVERY, self._free),
        )

    async def stop(self) -> None:
        """Stop all channels cleanly and give their leases back. (The answers' writer must still run.)"""
        self._stopping = True
        stops = self._stop_all()
        await self._changes.end(STOP_PATIENCE)  # one that is just being changed must not be left half-way
        stops += self._stop_all()
        await asyncio.gather(*stops, return_exceptions=True)  # what went wrong is in the log

    def _stop_all(self) -> list[asyncio.Task[None]]:
        idle = [id_ for id_ in self._channels if id_ not in self._changes]
        return [self._changes.begin(id_, self._stop_channel(id_, "shutting down")) for id_ in idle]

    # --- what others ask ---------------------------------------------------------------------------------------

    def _serves(self, spec: ChannelSpec, pool: str) -> bool:
        return membership(spec, pool, self._snapshots.current.table) is not None

    def _pools_of(self, spec: ChannelSpec) -> dict[int, Membership]:
        return pools_of(spec, self._snapshots.current.pools, self._snapshots.current.table)

    def status(self) -> Sequence[ChannelStatus]:
        """All configured channels, by name."""
        lines = []
        for spec in sorted(self._specs.values(), key=lambda s: s.name):
            today = self._today.get(spec.id, 0)
            channel = self._channels.get(spec.id)
            pools = tuple(name for name in self._snapshots.current.pools if self._serves(spec, name))
            there = None if channel else self._siblings.line(spec.id)
            if channel is not None:
                line = channel.status(today, pools)
            else:
                line = self._status_elsewhere(spec, today, pools) if there is None else replace(there, pools=pools)
            probe, detail = self._probing.verdict(spec)
            simulated = spec.profile.get("simulated") is True
            said = self._elsewhere.get(spec.id) if spec.id in self._others else None
            node = self._services.cluster.node if channel is not None else said.node if said else 0
            lines.append(replace(line, probe=probe, probe_detail=detail, simulated=simulated, node=node))
        return lines

    def _status_elsewhere(self, spec: ChannelSpec, today: int, pools: tuple[str, ...]) -> ChannelStatus:
        said = self._elsewhere.get(spec.id)
        if said is not None and asyncio.get_running_loop().time() - self._heard_at > FRESH:
            said = _over(said)
        bound = said.bound if said and spec.desired == "started" else 0
        away = "refused" if said and said.refused else "connecting"
        state = "bound" if bound else "stopped" if spec.desired != "started" else away
        return ChannelStatus(
            id=spec.id, name=spec.name, protocol=spec.protocol, carriers=tuple(sorted(spec.carriers)),
            access_code=spec.access_code, state=state, bound=bound, connections=spec.connections, window_used=0,
            window=spec.window * bound, rate_now=0.0, rate_limit=spec.rate, submitted_today=today,
            last_error=said.last_error if said else "", pools=pools, reason="nothing to send" if bound else "not bound",
        )  # fmt: skip

    def at_work(self, spec: ChannelSpec) -> Sequence[AtWork]:
        """Channels that use the login of this one, here or on another node, at whatever gateway. One that is not let in
        disturbs nobody; one that connects anew at this moment does."""
        login = (spec.protocol[:4], spec.username)
        same = {one.id: one for one in self._specs.values() if (one.protocol[:4], one.username) == login}
        return [
            AtWork(line.name, same[line.id].host, line.bound, frozenset(link.peer for link in line.links if link.peer))
            for line in self.status()
            if line.id in same and (line.bound or line.state not in ("stopped", "refused"))
        ]

    def status_here(self) -> Sequence[ChannelStatus]:
        """Those that run here."""
        return [line for line in self.status() if line.id in self._channels]

    @property
    def settled(self) -> bool:
        """Nothing in flight is left of the time before the start."""
        return self._replay is FORGOTTEN

    def lost_claims(self) -> dict[str, int]:
        """Name of a channel that runs here -> parts that it had claimed and that had got lost, in the last minutes."""
        return {c.spec.name: c.lost_claims for c in self._channels.values() if c.lost_claims}

    def channel(self, name: str) -> Channel:
        """A channel that runs here. ``NOT_FOUND`` otherwise."""
        for channel in self._channels.values():
            if channel.spec.name == name:
                return channel
        raise Invalid("NOT_FOUND")

    async def probe(self, name: str, to: str) -> tuple[int, int]:
        """Send a probe through a channel that runs here: (channel id, message id)."""
        channel = self.channel(name)
        await self._probing.follow()
        return channel.spec.id, await self._probing.send(channel, to)

    # --- configuration and leases ------------------------------------------------------------------------------

    async def follow_now(self) -> None:
        """Act on a change of configuration at once; done when the channels that it concerns have changed."""
        await self._snapshots.follow()
        await self.follow()
        await self._changes.lately()

    async def follow(self) -> None:
        """Take up the snapshot in force and begin what has to change, each channel for itself. Done by itself every
        second, and by whoever has made the snapshot newer."""
        async with self._following:
            snapshot = self._snapshots.current
            if snapshot is not self._snapshot:
                await self._load(snapshot)
                self._snapshot = snapshot
                self._changes.newer()
            if self._stopping:
                return
            each("channel in use", self._channels.values(), self._change, lambda channel: channel.spec.name)
            for channel_id in sorted(self._channels.keys() | self._specs.keys()):
                if channel_id not in self._changes and self._must_change(channel_id):
                    self._changes.begin(channel_id, self._bring(channel_id))

    def _change(self, channel: Channel) -> None:
        spec = self._specs.get(channel.spec.id)
        if spec is not None and spec != channel.spec and not self._ends(channel):
            channel.change(spec)
        channel.pull_from(self._pools_of(channel.spec))

    async def _load(self, snapshot: Snapshot) -> None:
        if snapshot.halted != self._snapshot.halted:
            for channel in self._channels.values():
                channel.set_aside()
        specs = {s.id: await self._led(s) for s in snapshot.channels}
        if snapshot.rehearses:
            specs[TEST_CHANNEL] = await self._test_carrier.channel()
        self._specs = specs
        self._fleet.configured(specs)
        self._removed = await store.removed_since(self._database, clock.now() - MAX_AGE)

    async def _led(self, spec: ChannelSpec) -> ChannelSpec:
        return await self._test_carrier.lead(spec) if spec.profile.get("simulated") else spec

    # --- changes of single channels ----------------------------------------------------------------------------

    def _must_change(self, channel_id: int) -> bool:
        channel = self._channels.get(channel_id)
        return self._wanted(channel_id) if channel is None else bool(self._ends(channel))

    def _wanted(self, channel_id: int) -> bool:
        spec = self._specs.get(channel_id)
        if spec is None or spec.desired == "stopped" or not self._siblings.mine(self._together(spec)):
            return False
        return spec.id == TEST_CHANNEL or self._balance.mine(self._together(spec))

    async def _look_around(self) -> None:
        """Where other machines live, see who has which channels."""
        if self._specs and self._services.cluster.live <= self._siblings.running and self._balance.alone:
            return
        groups = dict[int, list[ChannelSpec]]()
        for spec in self._specs.values():
            if spec.id != TEST_CHANNEL and spec.desired != "stopped":
                groups.setdefault(self._together(spec), []).append(spec)
        await self._balance.look(
            [Seat(id_, sum(s.connections for s in specs), tuple(s.id for s in specs)) for id_, specs in groups.items()]
        )

    def _together(self, spec: ChannelSpec) -> int:
        """The channel whose node has this one, too: carriers of SGIP come to one address, so to one process."""
        listen = spec.profile.get("sgip_listen")
        if not listen:
            return spec.id
        return min(id_ for id_, one in self._specs.items() if one.profile.get("sgip_listen") == listen)

    def _ends(self, channel: Channel) -> str:
        """Why a channel cannot go on as it is; empty when it can."""
        spec = self._specs.get(channel.spec.id)
        if channel.lease.lost or channel.left:
            return "lease lost"
        if spec is None or spec.desired == "stopped" or channel.restart_needed(spec):
            return "configuration changed"
        if self._siblings.due_back(self._together(spec)):
            return "its own worker is back"
        return ""

    async def _bring(self, channel_id: int) -> None:
        """Make of a channel what the configuration says: stop it, start it, or both."""
        channel = self._channels.get(channel_id)
        if channel is not None and (why := self._ends(channel)):
            await self._stop_channel(channel_id, why)
        if channel_id in self._channels or not self._wanted(channel_id):
            return
        async with self._starting:
            if self._stopping or not self._wanted(channel_id):
                return
            spec = self._specs[channel_id]
            try:
                await self._start_channel(spec)
            except (SmsgwError, OSError, PostgresError) as exc:  # it is tried again in a second
                log.error("channel.not_started", channel=spec.name, error=exc)

    async def _start_channel(self, spec: ChannelSpec) -> None:
        profiles.parse(spec.profile, spec.protocol)  # before anything is taken
        lease = await self._take(spec.id, spec.name, spec.unknown_policy)
        if lease is None:
            return
        channel = Channel(spec, lease, self._pools_of(spec), self._services)
        self._channels[spec.id] = channel
        self._fleet.begun(spec.id, channel)
        channel.start()
        log.info("channel.started", channel=spec.name, protocol=spec.protocol, epoch=lease.epoch)

    async def _take(self, channel_id: int, name: str, policy: UnknownPolicy) -> Lease | None:
        """Lease a channel and settle what its last owner left; None while another node owns it."""
        journal = self._services.journal
        lease = await leases.acquire(self._services.leasing, f"channel/{channel_id}", self._services.cluster.node)
        if lease is None:
            return None
        self._leases[channel_id] = lease
        try:
            failpoints.reach("lease.taken")
            await recover_channel(
                self._database, self._services.outcomes, journal, self._replay.and_of(self._left_by.values()),
                channel_id=channel_id, name=name, policy=policy, epoch=lease.epoch,
            )  # fmt: skip
            await self._correct([channel_id])
            journal.disown(self._past.pop(channel_id, ()))
            journal.own(lease.epoch)
        except BaseException:
            await self._give_up(channel_id, name)
            raise
        self._past[channel_id] = lease.epochs
        return lease

    async def _give_up(self, channel_id: int, name: str) -> None:
        """Let another node, or a later round, have the channel."""
        lease = self._leases.pop(channel_id)
        try:
            await leases.release(self._services.leasing, lease)
        except SmsgwError:
            log.warning("lease.not_released", channel=name)

    async def _stop_channel(self, channel_id: int, why: str) -> None:
        """Stop a channel; its lease is kept until what it had in hand is committed."""
        channel = self._channels.pop(channel_id)
        self._fleet.ended(channel_id)
        try:
            await channel.stop(why)
            async with asyncio.timeout(COMMIT_PATIENCE):
                await self._services.outcomes.drain()
            failpoints.reach("stop.drained")
        except TimeoutError:
            log.error("channel.outcomes_pending", channel=channel.spec.name)
        finally:
            await self._give_up(channel_id, channel.spec.name)
        await self._keep_last_throttle(channel)
        log.info("channel.stopped", channel=channel.spec.name, why=why)

    async def _adopt(self) -> None:
        """Settle what was in flight on channels that do not run here: stopped, removed, or unable to start."""
        if self._stopping:
            return
        # A channel that is being changed settles its own; what that needs to know must not be forgotten meanwhile.
        all_seen = not self._changes
        async with self._database.acquire(timeout=30) as connection:
            rows = await claiming.left_behind(connection, [*self._channels, *self._changes])
        others = [f"channel/{row['id']}" for row in rows if not self._siblings.mine(row["id"])]
        if others:  # whoever has one of them has seen to it; nobody else of us may, but its own worker
            all_seen &= await leases.held(self._services.leasing, others) == set(others)
        adopted: list[asyncio.Task[None]] = []
        for row in rows:
            if row["id"] in self._channels or row["id"] in self._changes:
                all_seen = False
            elif self._siblings.mine(row["id"]):
                settle = self._settle(row["id"], row["name"], row["unknown_policy"])
                adopted.append(self._changes.begin(row["id"], settle))
        if adopted:
            await asyncio.wait(adopted)
        all_seen &= not any(t.cancelled() or t.exception() for t in adopted)
        if self._replay is not FORGOTTEN and all_seen and await self._known_to_all():
            # Whatever still is in flight has been claimed since, by us or by another owner.
            self._services.journal.forget_before_start()
            self._replay = FORGOTTEN
        await self._correct(self._past.keys() - self._channels.keys() - set(self._changes))

    async def _correct(self, channels: Iterable[int]) -> None:
        """What other owners of these channels have called unknown goes back where this process has not written it."""
        journal = self._services.journal
        claimed = {epoch for id_ in channels for epoch in self._past.get(id_, ()) if journal.owns(epoch)}
        if claimed:
            await give_back_unwritten(self._database, self._services.outcomes, journal, claimed)

    async def _known_to_all(self) -> bool:
        """Whether the journal can tell nobody anything more. A sibling may settle a channel at this very moment without
        knowing this journal: that is corrected, at a second look."""
        if not self._siblings.several or self._replay == FORGOTTEN:
            return True
        await correct_taken_over(self._database, self._services.outcomes, self._replay)
        before, self._nothing_left = self._nothing_left, True
        return before

    # --- siblings ----------------------------------------------------------------------------------------------

    async def inherit(self, node: int) -> None:
        """The process of another worker has died, and what its journal says is heard: those of its channels that are to
        be here are taken at once. Who takes none leaves its leases to who does."""
        if any(self._wanted(id_) for id_ in self._specs.keys() - self._channels.keys()):
            await leases.end_of(self._services.leasing, node)
        await self.follow()
        await self._changes.lately()

    def hear_of(self, node: int, replay: Replay) -> None:
        """What the journal of a worker says that has died, to be heard by who takes its channels."""
        self._left_by[node] = replay

    def disinherit(self, node: int) -> None:
        """That worker is back, and sees to what it has left itself."""
        self._left_by.pop(node, None)

    async def _settle(self, channel_id: int, name: str, policy: str) -> None:
        async with self._starting:
            if await self._take(channel_id, name, UnknownPolicy(policy)) is not None:
                await self._give_up(channel_id, name)

    async def _renew(self) -> None:
        for lease in await leases.renew(self._services.leasing, list(self._leases.values())):
            if not lease.released:
                log.error("lease.lost", resource=lease.resource)

    async def _lapse(self) -> None:
        """A lease is at its deadline and was not renewed: where other nodes live one of them will have the channel."""
        if self._services.cluster.live <= self._siblings.running and not self._siblings.able:
            return  # nobody waits for it, siblings neither: the connections stay and receive, and nothing is submitted
        late = [c for c in self._channels.values() if not c.left and not c.lease.still_mine()]
        for channel in late:
            log.error("channel.left", channel=channel.spec.name, why="the lease could not be renewed")
        await asyncio.gather(*(channel.leave() for channel in late))

    async def _probe(self) -> None:
        await self._probing.follow()
        await self._probing.step(list(self._channels.values()))

    async def _free(self) -> None:
        """What waits for a channel that is gone goes to one that is not. Each node sees to its own, and to nobody's."""
        now = asyncio.get_running_loop().time()
        well = {id_ for id_, channel in self._channels.items() if channel.healthy()}
        well |= {
            id_
            for id_ in self._others
            if self._elsewhere[id_].bound > 0 and id_ in self._specs and self._specs[id_].desired == "started"
        }
        well &= self._specs.keys()
        known = {*self._specs, *self._removed}
        self._well_at = {id_: now if id_ in well else self._well_at.get(id_, now) for id_ in known}
        gone = {id_ for id_ in known - self._others if now - self._well_at[id_] > GONE_AFTER}
        serving = [(pool_id, id_) for id_ in sorted(well) for pool_id in self._pools_of(self._specs[id_])]
        if serving:
            self._fleet.announce(await failover.free(self._services.outcomes, self._snapshots.current, gone, serving))

    async def _keep_throttles(self) -> None:
        """Nothing is written as long as no carrier says "too fast"."""
        due = [(channel, spells) for channel in self._channels.values() if (spells := channel.throttled())]
        told = [(channel.spec.id, spell) for channel, spells in due for spell in spells]
        await throttles.keep(self._database, self._services.cluster.node, told)
        for channel, spells in due:
            channel.throttled_kept(spells)

    async def _keep_last_throttle(self, channel: Channel) -> None:
        """A channel stops. What cannot be kept is lost: it holds nothing up."""
        told = [(channel.spec.id, spell) for spell in channel.throttled(ended=True)]
        try:
            await throttles.keep(self._database, self._services.cluster.node, told)
        except (SmsgwError, TimeoutError, OSError, PostgresError) as exc:
            log.warning("channel.throttle_not_kept", channel=channel.spec.name, error=type(exc).__name__)

    async def _see_waits(self) -> None:
        async with self._database.acquire() as connection:
            now = clock.now()
            oldest = await claiming.oldest_queued(
                connection,
                list(self._snapshots.current.pools.values()),
                first_id(now - MAX_AGE),
                self._services.ids.newest(now),
            )
        waits = {pool_id: (now - time_of(id_)).total_seconds() for pool_id, id_ in oldest.items()}
        self._services.shares.waits(waits)

    async def _say(self) -> None:
        self._today = await counters.submitted_today(self._database)
        mine = [(c.spec.id, c.reachable, c.last_error[:500], c.refused) for c in self._channels.values()]
        await store.say(self._database, self._services.cluster.node, mine)
        said = await store.said(self._database)
        self._heard_at = asyncio.get_running_loop().time()
        self._elsewhere = {
            id_: s if s.ago < FRESH else _over(s)
            for id_, s in said.items()
            if s.node != self._services.cluster.node and id_ not in self._channels
        }
        self._others = {id_ for id_, s in self._elsewhere.items() if s.ago < FRESH}
        lately = [id_ for id_, s in said.items() if s.bound_ago is not None and s.bound_ago < GRACE]
        self._fleet.heard(lately, (id_ for id_, s in self._elsewhere.items() if s.bound > 0))


def _over(said: store.ChannelSaid) -> store.ChannelSaid:
    """The last word of a node whose lease is over: how its channel is now nobody knows."""
    return replace(said, bound=0, refused=False, last_error=f"node {said.node}, which had it, no longer reports")

"""What time does: scheduled messages are released, unknown outcomes meet their policy, validity ends, old days go.

Each job is a small bounded step, run every few seconds; on several nodes the steps exclude each other by row locks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import structlog

from smsgw.core.frequency import seconds_of
from smsgw.core.ids import CHINA, IdSource, first_id
from smsgw.core.retention import TABLE
from smsgw.core.states import PartState
from smsgw.pipeline.accept.nonces import NONCES_KEPT
from smsgw.pipeline.events import EventHub
from smsgw.pipeline.fleet import Fleet
from smsgw.pipeline.outcomes.cancellation import Recall
from smsgw.pipeline.outcomes.writer import LATE_REPORTS, REMATCH_BY_ITSELF, Outcomes, Sweep
from smsgw.pipeline.periodic import Periodic
from smsgw.pipeline.snapshot import Snapshots
from smsgw.pipeline.upkeep import rerouting
from smsgw.pipeline.upkeep.holding import Holding
from smsgw.runtime import clock
from smsgw.runtime.config import Config
from smsgw.store.config import blocklist, codes, number_filters, number_status
from smsgw.store.engine import partitions
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.messages import (
    abroad,
    checking,
    complaints,
    daily,
    events,
    fallback,
    frequency,
    inbound,
    reattempt,
    request_keys,
    resends,
    reviews,
    sweeps,
)
from smsgw.store.messages import outcomes as outcomes_store
from smsgw.store.messages.sweeps import STEP
from smsgw.store.records import alarms, forgetting, node_events, submits

log = structlog.get_logger(__name__)

JOIN_PATIENCE = timedelta(minutes=10)
"""Parts of a long inbound message wait this long for their siblings."""
KEYS_KEPT = timedelta(days=7)
REMATCH_WITHIN = timedelta(seconds=60)
"""Unmatched reports of the last minute are looked at again."""
ORPHANS_KEPT = timedelta(hours=72)
"""A report waits this long for the answer that names its part."""
ORPHAN_STEPS = 100
"""Transactions in one go, each of ``STEP`` such reports."""
RECOUNT_HOURS = range(2, 6)
"""By night, when few send."""
RECOUNT_PATIENCE = 4 * 3600.0
ROLL_UPS = 200
"""Steps of the statistics in one go; what is left has its turn with the next."""
EVER = datetime.min.replace(tzinfo=UTC)
LOOK_BACK_EVERY = timedelta(hours=1)
"""Between looks at days on which nothing should be open any more."""

Step = Callable[[Connection, datetime, int], Awaitable[list[Row]]]
"""A connection, now, and the id from which to look -> the rows that changed."""


class Maintenance:
    """Runs the jobs of time on this node."""

    def __init__(
        self,
        database: Database,
        outcomes: Outcomes,
        snapshots: Snapshots,
        hub: EventHub,
        ids: IdSource,
        config: Config,
        fleet: Fleet,
    ) -> None:
        self._database = database
        self._outcomes = outcomes
        self._snapshots = snapshots
        self._hub = hub
        self._ids = ids
        self._config = config
        self._fleet = fleet
        self._holding = Holding(database, snapshots, fleet)
        self._recall = Recall(database, outcomes, snapshots)
        self._swept = 0
        """Number up to which the recent messages were swept."""
        self._looked_back: dict[str, datetime] = {}
        self._indexed: dict[str, date | None] = {}
        """Table -> the day up to which it has its indexes for searching."""
        self.kept: list[date] = []
        """Days whose retention is over and that hold unfinished parts."""

    def periodics(self) -> Sequence[Periodic]:
        """What comes round."""
        return (
            Periodic("release", 0.5, self._release),
            self._holding.periodic(),
            self._recall.periodic(),
            Periodic("reviews", 10.0, self._reviews),
            Periodic("follow", 10.0, self._follow, exclusive="routing/follow"),
            Periodic("unknown", 2.0, self._unknown),
            Periodic("expire", 2.0, self._expire),
            Periodic("no_report", 60.0, self._no_report),
            Periodic("orphans", 60.0, self._orphans, rest=1.0),
            Periodic("rematch", 10.0, self._rematch),
            Periodic("join", 30.0, self._join),
            Periodic("nonces", 60.0, self._nonces),
            Periodic("partitions", 600.0, self._partitions),
            Periodic("roll_up", 20.0, self._roll_up),
            Periodic("recount", 900.0, self._recount, patience=RECOUNT_PATIENCE),
            Periodic("index", 900.0, self._index, exclusive="partitions/index", patience=RECOUNT_PATIENCE),
        )

    async def stop(self) -> None:
        """Let connections go; the jobs have ended."""
        self._holding.stop()

    async def _sweep(
        self, job: str, step: Step, kinds: Mapping[int, str] | None = None, then: Callable[[], None] = lambda: None
    ) -> None:  # fmt: skip
        """Run a job until a step has found less than it could take; ``then`` after each step.

        Now and then it looks at all days: a node may have been down for weeks.
        """
        now = clock.now()
        everything = now - self._looked_back.get(job, EVER) > LOOK_BACK_EVERY
        oldest = 0 if everything else first_id(now - self._outcomes.open_for)
        sweep = Sweep(lambda connection, at: step(connection, at, oldest), kinds or {})
        while await self._outcomes.sweep(sweep) >= STEP:
            then()
        then()
        if everything:
            self._looked_back[job] = now

    async def _release(self) -> None:
        queues: set[tuple[int, int]] = set()

        def noting(step: Step) -> Step:
            async def run(connection: Connection, now: datetime, oldest: int) -> list[Row]:
                rows = await step(connection, now, oldest)
                # What waited for its time while its account was moved follows.
                ids, snapshot = sorted({row["id"] for row in rows}), self._snapshots.current
                _, moved = await rerouting.follow(connection, snapshot.table, snapshot.pools, ids, now)
                queues.update((row["pool_id"], row["lane"]) for row in (*rows, *moved))
                return rows

            return run

        def announce() -> None:
            self._fleet.announce(queues)

        await self._sweep(
            "scheduled", noting(sweeps.release_scheduled), {PartState.QUEUED: "released"}, announce
        )
        await self._sweep("elsewhere", noting(reattempt.release), then=announce)

    async def _follow(self) -> None:
        # A node that had not heard of a table yet has accepted for a pool of the one before.
        snapshot = self._snapshots.current
        followed = await rerouting.follow_lost(self._database, snapshot.table, snapshot.pools)
        if followed.moved:
            log.info("messages.followed", moved=followed.moved, busy=followed.busy)
            self._fleet.announce(followed.queues)

    async def _unknown(self) -> None:
        await self._sweep("unknown", sweeps.resolve_unknown, {PartState.DEFERRED: "resent"})

    async def _expire(self) -> None:
        await self._sweep("expire", sweeps.expire)

    async def _no_report(self) -> None:
        await self._sweep("no_report", sweeps.end_report_wait)

    async def _rematch(self) -> None:
        # A report that came before its answer could not tell anything about how the channel spells its ids.
        await self._outcomes.rematch(since=clock.now() - REMATCH_WITHIN, most=REMATCH_BY_ITSELF)

    async def _orphans(self) -> bool:
        before = clock.now() - ORPHANS_KEPT
        by_channel: Counter[int] = Counter()
        more = True
        for _ in range(ORPHAN_STEPS):
            async with self._database.transaction(timeout=30) as connection:
                rows = await outcomes_store.sweep_orphans(connection, before, STEP)
            by_channel.update(row["channel_id"] for row in rows)
            more = len(rows) == STEP
            if not more:
                break
        if by_channel:
            log.warning("reports.homeless", **{f"channel_{id_}": n for id_, n in by_channel.items()})
        return more

    async def _reviews(self) -> None:
        async with self._database.transaction(timeout=30) as connection:
            await reviews.expire(connection, clock.now())
            self._swept = await frequency.sweep(connection, self._swept, seconds_of(clock.now()))
            await abroad.sweep(connection)

    async def _nonces(self) -> None:
        async with self._database.transaction(timeout=30) as connection:
            await request_keys.sweep_nonces(connection, clock.now() - NONCES_KEPT)

    async def _join(self) -> None:
        before = clock.now() - JOIN_PATIENCE
        told: set[int] = set()
        async with self._database.transaction(timeout=30) as connection:
            for row in await inbound.stale_parts(connection, before):
                account, extend_code = self._snapshots.current.numbering.owner_of(
                    row["to_code"], row["channel_id"]
                )
                account_id = account.id if account else None
                told |= await inbound.give_up_joining(
                    connection, row, account_id, extend_code, self._ids.next
                )
        self._hub.notify(told, "mo")

    async def _roll_up(self) -> None:
        for _ in range(ROLL_UPS):
            if not await daily.roll_up(self._database, clock.now()):
                break

    async def _recount(self) -> None:
        now = clock.now()
        if now.astimezone(CHINA).hour in RECOUNT_HOURS:
            retention = self._config.retention
            while await daily.recount_settled(self._database, now, retention.events_days):
                pass
            while await checking.look_on(self._database, now, retention.messages_days, retention.events_days):
                pass

    async def _index(self) -> None:
        """At night, as it takes a processor for a while."""
        now = clock.now().astimezone(CHINA)
        if now.hour in RECOUNT_HOURS:
            async with self._database.acquire(timeout=RECOUNT_PATIENCE) as connection:
                for table in partitions.SETTLED:
                    done = self._indexed.get(table)
                    self._indexed[table] = await partitions.index(connection, now.date(), table, done)

    async def _partitions(self) -> None:
        retention = self._config.retention
        keep = {
            "message": retention.messages_days,
            "part": retention.messages_days,
            "attempt": retention.messages_days,
            "event": retention.messages_days,
            "mo": retention.mo_days,
            "customer_event": retention.events_days,
            "webhook_attempt": retention.events_days,
            "partner_part": retention.messages_days,
            "evidence": retention.messages_days,
            "submit_pdu": retention.submits_days,
            "link_click": retention.messages_days,
            "message_link": retention.messages_days,
        }
        today = clock.now().astimezone(CHINA).date()
        oldest = first_id(clock.now() - self._config.durability.open_for - LATE_REPORTS)
        async with self._database.acquire(timeout=60) as connection:
            await partitions.ensure(connection, today, newest=self._ids.newest_made)
            for day in await partitions.overdue(connection, today, "customer_event", keep["customer_event"]):
                await events.count_lost(connection, day)
                await daily.keep_ends(connection, day, oldest)
            events_gone, records_gone = (
                today - timedelta(days=keep[table] + 1) for table in ("customer_event", "message")
            )
            await daily.note_gone(connection, events=events_gone, records=records_gone, oldest=oldest)
            await partitions.expire(connection, today, keep)
            first = {name: today - timedelta(days=keep[table]) for name, table in TABLE.items()}
            await forgetting.sweep(connection, first)
            self.kept = await partitions.overdue(connection, today, "part", keep["part"])
            await request_keys.sweep(connection, clock.now() - KEYS_KEPT)
            await fallback.sweep(connection, clock.now() - timedelta(days=retention.messages_days))
            await submits.sweep(connection, clock.now() - timedelta(days=retention.messages_days))
            await resends.sweep(connection, clock.now() - timedelta(days=retention.messages_days))
            await inbound.sweep_parts(connection, clock.now() - KEYS_KEPT)
            await inbound.sweep_care(connection, clock.now() - timedelta(days=retention.mo_days))
            for module in (alarms, blocklist, codes, complaints, node_events, number_filters):
                await module.sweep(connection)
            await number_status.sweep(connection, self._snapshots.current.settings.number_status_days)

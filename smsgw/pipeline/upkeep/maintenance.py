"""What time does: scheduled messages are released, unknown outcomes meet their policy, validity ends, old days go.

Each job is a small bounded step, run every few seconds; on several nodes the steps exclude each other by row locks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TypeVar

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
    outcomes as outcomes_store,
    reattempt,
    request_keys,
    resends,
    reviews,
    sweeps,
)
from smsgw.store.messages.sweeps import STEP
from smsgw.store.records import alarms, node_events, retention_steps, submits

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

UPKEEP_PATIENCE = 60.0
"""Seconds for a step of what bounds the disk that says nothing else."""
DAY_PATIENCE = daily.RECOUNT_PATIENCE + 90.0
"""Seconds for a day whose events are counted before they go, …"""
DROP_PATIENCE = partitions.UNFINISHED_PATIENCE + 60.0
"""… and for one that is looked through, and dropped."""

Step = Callable[[Connection, datetime, int], Awaitable[list[Row]]]
"""A connection, now, and the id from which to look -> the rows that changed."""
T = TypeVar("T")


class Steps:
    """Steps of which each has a connection and time of its own: one that fails, or is cut off, keeps no other from its
    turn. What went wrong first is raised at the end."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._failure: Exception | None = None

    async def take(
        self, name: str, step: Callable[[Connection], Awaitable[T]], seconds: float = UPKEEP_PATIENCE
    ) -> T | None:
        """What the step says; None when it has failed."""
        try:
            async with self._database.acquire(timeout=seconds) as connection:
                return await step(connection)
        except Exception as exc:  # a supervisor: whatever it is, the others have their turn
            log.warning("upkeep.failed", step=name, error=exc)
            self._failure = self._failure or exc
            return None

    def done(self) -> None:
        """Raise what went wrong."""
        if self._failure is not None:
            raise self._failure


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
        self._counted: set[date] = set()
        """Days of events that are counted, and not gone yet."""
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
            Periodic("partitions", 600.0, self._partitions, patience=RECOUNT_PATIENCE),
            Periodic("roll_up", 20.0, self._roll_up),
            Periodic("recount", 900.0, self._recount, patience=RECOUNT_PATIENCE),
            Periodic("index", 900.0, self._index, exclusive="partitions/index", patience=RECOUNT_PATIENCE),
        )

    async def stop(self) -> None:
        """Let connections go; the jobs have ended."""
        self._holding.stop()

    async def _sweep(
        self, job: str, step: Step, kinds: Mapping[int, str] | None = None, then: Callable[[], None] = lambda: None
    ) -> None:
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

        await self._sweep("scheduled", noting(sweeps.release_scheduled), {PartState.QUEUED: "released"}, announce)
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
        async with self._database.acquire(timeout=30) as connection:
            await request_keys.sweep_nonces(connection, clock.now() - NONCES_KEPT)

    async def _join(self) -> None:
        before = clock.now() - JOIN_PATIENCE
        told: set[int] = set()
        async with self._database.transaction(timeout=30) as connection:
            for row in await inbound.stale_parts(connection, before):
                account, extend_code = self._snapshots.current.numbering.owner_of(row["to_code"], row["channel_id"])
                account_id = account.id if account else None
                told |= await inbound.give_up_joining(connection, row, account_id, extend_code, self._ids.next)
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
        now = clock.now()
        today = now.astimezone(CHINA).date()
        oldest = first_id(now - self._config.durability.open_for - LATE_REPORTS)
        newest = self._ids.newest_made
        steps = Steps(self._database)
        await steps.take("ensure", lambda c: partitions.ensure(c, today, newest=newest))
        uncounted = await self._count_events(steps, today, keep["customer_event"], oldest)
        await self._drop(steps, today, keep, uncounted, oldest)
        self.kept = await steps.take("overdue", lambda c: partitions.overdue(c, today, "part", keep["part"])) or []
        first = {name: today - timedelta(days=keep[table]) for name, table in TABLE.items()}
        messages, parts = now - timedelta(days=retention.messages_days), now - KEYS_KEPT
        inbound_days = now - timedelta(days=retention.mo_days)
        await steps.take("forgetting", lambda c: retention_steps.sweep(c, first))
        await steps.take("request_keys", lambda c: request_keys.sweep(c, now - KEYS_KEPT))
        await steps.take("fallback", lambda c: fallback.sweep(c, messages))
        await steps.take("submits", lambda c: submits.sweep(c, messages))
        await steps.take("resends", lambda c: resends.sweep(c, messages))
        await steps.take("inbound_parts", lambda c: inbound.sweep_parts(c, parts))
        await steps.take("inbound_care", lambda c: inbound.sweep_care(c, inbound_days))
        for module in (alarms, blocklist, codes, complaints, node_events, number_filters):
            await steps.take(module.__name__.rpartition(".")[2], module.sweep)
        days = self._snapshots.current.settings.number_status_days
        await steps.take("number_status", lambda c: number_status.sweep(c, days))
        steps.done()

    async def _count_events(self, steps: Steps, today: date, kept: int, oldest: int) -> list[date] | None:
        """Before days of events go: what nobody has taken, and what they have told last. The days that cannot go yet;
        None when they are not known."""
        due = await steps.take("events", lambda c: partitions.overdue(c, today, "customer_event", kept))
        if due is None:
            return None
        self._counted &= set(due)
        for day in (day for day in due if day not in self._counted):
            count = partial(self._count_day, day, oldest)
            if await steps.take(f"events/{day}", count, DAY_PATIENCE):
                self._counted.add(day)
        return [day for day in due if day not in self._counted]

    @staticmethod
    async def _count_day(day: date, oldest: int, connection: Connection) -> bool:
        await events.count_lost(connection, day)
        await daily.keep_ends(connection, day, oldest)
        return True

    async def _drop(
        self, steps: Steps, today: date, keep: dict[str, int], uncounted: list[date] | None, oldest: int
    ) -> None:
        """Let the days go whose time is over; of events and messages only what is noted as gone."""
        events_gone, records_gone = (today - timedelta(days=keep[table] + 1) for table in ("customer_event", "message"))
        noted = uncounted is not None and await steps.take(
            "note_gone", partial(self._note_gone, [events_gone, *uncounted], records_gone, oldest), DAY_PATIENCE
        )
        last = ("customer_event", *partitions.OF_MESSAGES)
        going = {table: days for table, days in keep.items() if noted or table not in last}
        for day, tables in (await steps.take("old", lambda c: partitions.old(c, today, going)) or {}).items():
            some = [table for table in tables if table != "customer_event" or day not in (uncounted or ())]
            drop = partial(partitions.drop, day=day, tables=some)
            if await steps.take(f"drop/{day}", drop, DROP_PATIENCE) is False:
                break

    @staticmethod
    async def _note_gone(events: list[date], records: date, oldest: int, connection: Connection) -> bool:
        gone, *uncounted = events
        await daily.note_gone(
            connection, events=min([gone, *(day - timedelta(days=1) for day in uncounted)]), records=records,
            oldest=oldest,
        )  # fmt: skip
        return True

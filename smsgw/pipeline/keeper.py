"""What time does: scheduled messages are released, unknown outcomes meet their policy, validity ends, old days go.

Each job is a small bounded step, run every few seconds; on several nodes the steps exclude each other by row locks.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from smsgw import aio
from smsgw.config import Config
from smsgw.core.ids import CHINA, IdSource
from smsgw.core.model import Lane
from smsgw.core.states import PartState
from smsgw.pipeline.directory import Directory
from smsgw.pipeline.events import EventBell
from smsgw.pipeline.outcomes import Outcomes, Sweep
from smsgw.store import (
    accepting,
    alarms,
    blocklist,
    codes,
    complaints,
    inbound,
    partitions,
    retrying,
    statistics,
    sweeps,
)  # fmt: skip
from smsgw.store import outcomes as outcomes_store
from smsgw.store.db import Connection, Database, Row

log = structlog.get_logger(__name__)

STEP = 1000
JOIN_PATIENCE = timedelta(minutes=10)
"""Parts of a long inbound message wait this long for their siblings."""
KEYS_KEPT = timedelta(days=7)
REMATCH_WITHIN = timedelta(seconds=60)
"""Unmatched reports of the last minute are looked at again."""
ORPHANS_KEPT = timedelta(hours=72)
"""A report waits this long for the answer that names its part."""
RECOUNT_HOURS = range(2, 6)
"""By night, when few send."""
ROLL_UPS = 200
"""Steps of the statistics in one go; what is left has its turn with the next."""
LANES = [int(lane) for lane in Lane]


class Keeper:
    """Runs the jobs of time on this node."""

    def __init__(
        self,
        database: Database,
        outcomes: Outcomes,
        directory: Directory,
        bell: EventBell,
        ids: IdSource,
        config: Config,
        on_queued: Callable[[set[tuple[int, int]]], None],
    ) -> None:
        self._database = database
        self._outcomes = outcomes
        self._directory = directory
        self._bell = bell
        self._ids = ids
        self._config = config
        self._on_queued = on_queued
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin all jobs."""
        for name, every, step in (
            ("release", 0.5, self._release),
            ("unknown", 2.0, self._unknown),
            ("expire", 10.0, self._expire),
            ("no_report", 60.0, self._no_report),
            ("orphans", 60.0, self._orphans),
            ("rematch", 10.0, self._rematch),
            ("join", 30.0, self._join),
            ("partitions", 600.0, self._partitions),
            ("roll_up", 20.0, self._roll_up),
            ("recount", 900.0, self._recount),
        ):
            self._tasks.append(aio.spawn(aio.forever(step, every=every, name=name), name=f"keeper.{name}"))

    async def stop(self) -> None:
        """End all jobs."""
        await aio.cancel(*self._tasks)

    async def _release(self) -> None:
        queues: set[tuple[int, int]] = set()

        async def run(connection: Connection, now: datetime) -> list[Row]:
            rows = await sweeps.release_scheduled(connection, now, STEP)
            queues.update((row["pool_id"], row["lane"]) for row in rows)
            return rows

        while await self._outcomes.sweep(Sweep(run, {PartState.QUEUED: "released"})) >= STEP:
            self._on_queued(queues)
        self._on_queued(queues)

        async def elsewhere(connection: Connection, now: datetime) -> list[Row]:
            rows = await retrying.release(connection, now, STEP)
            queues.update((row["pool_id"], row["lane"]) for row in rows)
            return rows

        while await self._outcomes.sweep(Sweep(elsewhere)) >= STEP:
            self._on_queued(queues)
        self._on_queued(queues)

    async def _unknown(self) -> None:
        sweep = Sweep(lambda c, now: sweeps.resolve_unknown(c, now, STEP), {PartState.DEFERRED: "resent"})
        while await self._outcomes.sweep(sweep) >= STEP:
            pass

    async def _expire(self) -> None:
        for pool_id in self._directory.pools.values():

            async def run(connection: Connection, now: datetime, pool_id: int = pool_id) -> list[Row]:
                return await sweeps.expire_queued(connection, now, pool_id, LANES, STEP)

            await self._outcomes.sweep(Sweep(run))
        await self._outcomes.sweep(Sweep(lambda c, now: sweeps.expire_deferred(c, now, STEP)))

    async def _no_report(self) -> None:
        while await self._outcomes.sweep(Sweep(lambda c, at: sweeps.end_report_wait(c, at, STEP))) >= STEP:
            pass

    async def _rematch(self) -> None:
        # A report that came before its answer could not tell anything about how the channel spells its ids.
        await self._outcomes.rematch(since=datetime.now(UTC) - REMATCH_WITHIN)

    async def _orphans(self) -> None:
        before = datetime.now(UTC) - ORPHANS_KEPT
        async with self._database.transaction(timeout=30) as connection:
            rows = await outcomes_store.sweep_orphans(connection, before, STEP)
        if rows:
            by_channel = Counter(row["channel_id"] for row in rows)
            log.warning("reports.homeless", **{f"channel_{id_}": n for id_, n in by_channel.items()})

    async def _join(self) -> None:
        before = datetime.now(UTC) - JOIN_PATIENCE
        told: set[int] = set()
        async with self._database.transaction(timeout=30) as connection:
            for row in await inbound.stale_parts(connection, before):
                account, extend_code = self._directory.owner_of(row["to_code"], row["channel_id"])
                account_id = account.id if account else None
                told |= await inbound.give_up_joining(
                    connection, row, account_id, extend_code, self._ids.next
                )
        self._bell.ring(told, "mo")

    async def _roll_up(self) -> None:
        for _ in range(ROLL_UPS):
            if not await statistics.roll_up(self._database, datetime.now(UTC)):
                break

    async def _recount(self) -> None:
        now = datetime.now(UTC)
        if now.astimezone(CHINA).hour in RECOUNT_HOURS:
            while await statistics.recount_settled(self._database, now, self._config.retention.events_days):
                pass

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
        }
        today = datetime.now(CHINA).date()
        async with self._database.acquire(timeout=60) as connection:
            await partitions.ensure(connection, today)
            await partitions.expire(connection, today, keep)
            await accepting.sweep_keys(connection, datetime.now(UTC) - KEYS_KEPT)
            await inbound.sweep_parts(connection, datetime.now(UTC) - KEYS_KEPT)
            for module in (alarms, blocklist, codes, complaints):
                await module.sweep(connection)

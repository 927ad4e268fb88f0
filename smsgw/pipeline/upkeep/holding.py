"""A stopped account sends nothing: claims leave it out at once, and what it has queued is HELD step by step.

One node at a time does it (a lease). Nothing has to be remembered over a restart: what is left to do is what is found,
and a start in the middle of it turns the rest around.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog

from smsgw.core.ids import first_id
from smsgw.pipeline.fleet import Fleet
from smsgw.pipeline.outcomes.writer import MAX_AGE
from smsgw.pipeline.periodic import Periodic
from smsgw.pipeline.snapshot import Snapshots
from smsgw.pipeline.upkeep import rerouting
from smsgw.runtime import clock
from smsgw.store.engine.database import CONFLICT, OUTAGE, Connection, Database, Row, connect, unavailable
from smsgw.store.messages import holding as store

log = structlog.get_logger(__name__)

RESOURCE = "job/holding"
LOOK_AGAIN = 30.0
"""Seconds after which it is looked for held messages of active accounts though no account has changed."""
BATCH_TIMEOUT = 30.0
EVERY = 0.5

Batch = Callable[[Connection, int, datetime, int], Awaitable[list[Row]]]


class Holding:
    """The job of the node that has the lease."""

    def __init__(self, database: Database, snapshots: Snapshots, fleet: Fleet) -> None:
        self._database = database
        self._snapshots = snapshots
        self._fleet = fleet
        self._resumed_for: frozenset[int] | None = None
        """The stopped accounts when nothing of the others was held."""
        self._looked_at = 0.0
        self._connection: Connection | None = None

    def periodic(self) -> Periodic:
        """What comes round."""
        return Periodic("hold", EVERY, self.step, exclusive=RESOURCE)

    async def step(self) -> None:
        """Hold and resume what there is to."""
        halted = self._snapshots.current.halted
        if halted:
            await self._all(store.stopped_with_waiting, store.hold, "account.held")
        if (halted != self._resumed_for or time.monotonic() - self._looked_at > LOOK_AGAIN) and await self._all(
            store.started_with_held, store.resume, "account.resumed"
        ):
            self._resumed_for, self._looked_at = halted, time.monotonic()

    async def _all(self, accounts: Callable[[Connection, int], Awaitable[list[int]]], batch: Batch, event: str) -> bool:
        """Run the batches of all accounts that have something; whether nothing was found."""
        connection = await self._writer()
        try:
            async with asyncio.timeout(BATCH_TIMEOUT):
                todo = await accounts(connection, first_id(clock.now() - MAX_AGE))
            for account_id in todo:
                moved = 0
                while parts := await self._batch(connection, batch, account_id):
                    moved += parts
                if moved:
                    log.info(event, account_id=account_id, parts=moved)
        except (*OUTAGE, *CONFLICT) as exc:  # the next step comes soon
            log.info("holding.interrupted", error=type(exc).__name__)
            connection.terminate()
            return False
        return not todo

    async def _writer(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            try:
                self._connection = await connect(self._database.dsn, writer=True)
            except OUTAGE as exc:
                raise unavailable(exc) from exc
        return self._connection

    def stop(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection.terminate()

    async def _batch(self, connection: Connection, batch: Batch, account_id: int) -> int:
        """One transaction; how many parts it has moved."""
        now = clock.now()
        async with asyncio.timeout(BATCH_TIMEOUT):
            async with connection.transaction():
                rows = await batch(connection, account_id, now, first_id(now - MAX_AGE))
                # What was held while its account was moved follows.
                ids = sorted({id_ for row in rows for id_ in row["ids"] or ()}) if batch is store.resume else []
                snapshot = self._snapshots.current
                _, moved = await rerouting.follow(connection, snapshot.table, snapshot.pools, ids, now)
        self._fleet.announce({(row["pool_id"], row["lane"]) for row in (*rows, *moved)})
        return sum(row["parts"] for row in rows)

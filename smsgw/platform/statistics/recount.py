"""Recounts of business days as a durable job: a day a transaction, in which the job's checkpoint moves on, too."""

from __future__ import annotations

from datetime import date, timedelta

from smsgw.core.permissions import Permission
from smsgw.platform.change import EVERYBODY, Change
from smsgw.platform.jobs import queries
from smsgw.platform.jobs.model import NewJob
from smsgw.platform.jobs.runner import LONG, JobContext, JobKind
from smsgw.runtime import clock
from smsgw.store.engine.database import Database
from smsgw.store.messages import checking, daily

NAME = "statistics.recount"
PATIENCE = 4 * 3600.0
MAX_DAYS = 366
"""Days of one job."""


async def begin(change: Change, first: date, last: date) -> int | None:
    """Have the days counted anew, the first to the last; the job, None when there is one that does it."""
    days = {"first": first.isoformat(), "last": last.isoformat()}
    async with change.unit(Permission.STATISTICS_EDIT, EVERYBODY) as unit:
        job = await queries.add(unit.connection, NewJob(NAME, days, change.actor.label, subject=f"{first} {last}"))
        if job is None:
            unit.unchanged()
        else:
            unit.record("statistics.recount", f"job/{job}", after=days)
    return job


def kind(database: Database) -> JobKind:
    """How a node does it."""

    async def run(context: JobContext) -> None:
        params = context.job.params
        first, last = date.fromisoformat(params["first"]), date.fromisoformat(params["last"])
        total = (last - first).days + 1
        done: int = context.job.checkpoint.get("days", 0)
        while done < total:
            async with database.transaction(timeout=2 * daily.RECOUNT_PATIENCE) as connection:
                day = first + timedelta(days=done)
                await daily.recount(connection, day)
                await checking.look(connection, day, clock.now())
                done += 1
                await context.progress(done, total, checkpoint={"days": done}, connection=connection)

    return JobKind(NAME, run, at_once=1, places=LONG, patience=PATIENCE)

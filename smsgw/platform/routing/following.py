"""An account that is given to another channel, or goes by the rules again, with what waits: as one change and one job.

The new table is in force at once; the job lets the queues follow, step by step.
"""

from __future__ import annotations

import asyncio

from smsgw.core.permissions import Permission
from smsgw.platform.change import Change, Unit
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.jobs.model import NewJob
from smsgw.platform.jobs.runner import AT_ONCE, JobContext, JobKind
from smsgw.platform.routing import queries, service
from smsgw.store.engine.database import Database

NAME = "route.follow"
PATIENCE = 3600.0
LATECOMERS = 2.0
"""Seconds after which every node has taken up a table."""


async def move_account(change: Change, account: str, channel: str, note: str) -> int:
    """Give an account to a channel; the job by which what waits follows. Raises as ``service.move``."""
    async with change.unit(Permission.ROUTE_EDIT) as unit:
        before = (await queries.table(unit.connection)).given_to("account", account)
        version = await service.move(change, "account", account, channel, note)
        return await _follow(unit, account, before, channel, version)


async def restore_account(change: Change, account: str, note: str) -> int:
    """Let an account go by the rules again; the job by which what waits follows. Raises as ``service.restore``."""
    async with change.unit(Permission.ROUTE_EDIT) as unit:
        before = (await queries.table(unit.connection)).given_to("account", account)
        version = await service.restore(change, "account", account, note)
        return await _follow(unit, account, before, None, version)


async def _follow(unit: Unit, account: str, before: str | None, channel: str | None, version: int) -> int:
    wanted = NewJob(NAME, {"account": account, "channel": channel, "version": version}, unit.actor.label)
    id_ = await jobs.add(unit.connection, wanted)
    assert id_ is not None  # noqa: S101 - it has no subject of which there is another
    after = {"channel": channel or "", "version": version}
    unit.record("account.route", f"account/{account}", before={"channel": before or ""}, after=after)
    return id_


def kind(database: Database) -> JobKind:
    """How a node does it. Nodes take up the table within a second or two: what they have accepted meanwhile follows,
    too."""

    async def run(context: JobContext) -> None:
        first = await service.follow_queued(database)
        moved = {"moved": first.moved, "busy": first.busy}
        await context.progress(first.moved, checkpoint=moved)
        await asyncio.sleep(LATECOMERS)
        late = await service.follow_queued(database)
        moved = {"moved": first.moved + late.moved, "busy": late.busy}
        await context.progress(moved["moved"], checkpoint=moved)

    return JobKind(NAME, run, per_owner=1, at_once=1, places=AT_ONCE, patience=PATIENCE)

"""An account, or everything of a channel, that is given to another channel, or goes by the rules again, with what
waits: as one change and one job.

The new table is in force at once; the job lets the queues follow, step by step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace

from smsgw.core import routes as core
from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.change import Change, Unit
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.jobs.model import NewJob
from smsgw.platform.jobs.runner import AT_ONCE, JobContext, JobKind
from smsgw.platform.routing import queries, service
from smsgw.platform.routing.model import EMPTY
from smsgw.platform.routing.publication import LOCK, Made
from smsgw.store.engine.database import Database

NAME = "route.follow"
PATIENCE = 3600.0
LATECOMERS = 2.0
"""Seconds after which every node has taken up a table."""


async def move_account(change: Change, account: str, channel: str, note: str) -> Made:
    """Give an account to a channel, with the job by which what waits follows. Raises as ``service.move``."""
    async with change.unit(Permission.ROUTE_EDIT) as unit:
        before = (await queries.table(unit.connection)).given_to("account", account)
        made = await service.move(change, "account", account, channel, note)
        return await _follow(unit, account, before, channel, made)


async def restore_account(change: Change, account: str, note: str) -> Made:
    """Let an account go by the rules again, with that job. Raises as ``service.restore``."""
    async with change.unit(Permission.ROUTE_EDIT) as unit:
        before = (await queries.table(unit.connection)).given_to("account", account)
        made = await service.restore(change, "account", account, note)
        return await _follow(unit, account, before, None, made)


_PAIR = """
SELECT id, name, carriers, desired FROM channel WHERE name = ANY($1) AND removed_at IS NULL AND id > 0 FOR UPDATE
"""
# What was stopped stays so: draining would log it in.
_DRAIN = """
UPDATE channel SET desired = 'draining', version = nextval('config_version') WHERE id = $1 AND desired <> 'stopped'
"""


async def move_channel(change: Change, source: str, target: str, note: str, *, seen: int | None = None) -> Made:
    """Give everything that goes by a channel to another one: its place in every pool, and whom it was given to. The
    former takes nothing more and is drained: reports and replies still come by it; one that is stopped stays so. With
    the job by which what waits follows; or the table waits for a second person, and the channel goes on as it is.

    ``NOT_FOUND``; ``PARAM_INVALID`` for the same channel; ``STATE_CONFLICT`` where the other one is not started, or
    does not serve a carrier that the first does, or another version of the routes is in force than was ``seen``.
    """
    async with change.unit(Permission.ROUTE_EDIT) as unit:
        unit.actor.require(Permission.CHANNEL_EDIT)
        if unit.actor.scope.whole is not None:
            raise Refused("PERMISSION_DENIED")
        await unit.connection.execute(LOCK)
        rows = {row["name"]: row for row in await unit.connection.fetch(_PAIR, [source, target])}
        if source not in rows or target not in rows:
            raise Invalid("NOT_FOUND")
        if source == target:
            raise Invalid("PARAM_INVALID", field="channel", reason=phrase("channel.same"))
        if rows[target]["desired"] != "started":
            raise Refused("STATE_CONFLICT", reason=phrase("channel.not_started", name=target))
        check_carriers(rows[source]["carriers"], rows[target]["carriers"], target)
        newest = await queries.newest(unit.connection)
        version, document = (newest.version, newest.document) if newest is not None else (0, EMPTY)
        if seen is not None and version != seen:
            raise Refused("STATE_CONFLICT", reason=phrase("route.newer_table", version=version))
        made = await service.publish(change, core.replaced(document, channel=source, by=target), note)
        if made.waits:
            unit.unchanged()
            return made
        version = made.version
        await unit.connection.execute(_DRAIN, rows[source]["id"])
        wanted = NewJob(NAME, {"from": source, "channel": target, "version": version}, unit.actor.label)
        id_ = await jobs.add(unit.connection, wanted)
        assert id_ is not None  # noqa: S101 - it has no subject of which there is another
        was = rows[source]["desired"]
        desired = "stopped" if was == "stopped" else "draining"
        after = {"channel": target, "version": version, "desired": desired, "reason": note}
        before = {"channel": source, "desired": was}
        unit.record("channel.replace", f"channel/{source}", before=before, after=after)
    return replace(made, job=id_)


def check_carriers(carriers: Collection[str], by: Collection[str], name: str) -> None:
    """``STATE_CONFLICT``: one of a channel's carriers (none: all) is not served by another one of that name, and
    messages to its numbers would have no way."""
    if missing := sorted(set(carriers or core.BUILT_IN) - set(by)) if by else []:
        reason = phrase("channel.fewer_carriers", name=name, carriers=", ".join(missing))
        raise Refused("STATE_CONFLICT", reason=reason)


async def _follow(unit: Unit, account: str, before: str | None, channel: str | None, made: Made) -> Made:
    if made.waits:
        unit.unchanged()  # it was entered that it was submitted
        return made
    version = made.version
    wanted = NewJob(NAME, {"account": account, "channel": channel, "version": version}, unit.actor.label)
    id_ = await jobs.add(unit.connection, wanted)
    assert id_ is not None  # noqa: S101 - it has no subject of which there is another
    after = {"channel": channel or "", "version": version}
    unit.record("account.route", f"account/{account}", before={"channel": before or ""}, after=after)
    return replace(made, job=id_)


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

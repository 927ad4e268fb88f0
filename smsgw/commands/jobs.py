"""``smsgwctl job``: long work in the background, how far it is, and its end."""

from __future__ import annotations

from typing import Any

import click

from smsgw.commands.base import Context, Failed, actor, group, json_option, print_json, print_rows, say
from smsgw.platform.campaigns import imports
from smsgw.platform.jobs import queries, service
from smsgw.platform.jobs.model import Job, JobState
from smsgw.runtime import clock

COLUMNS = ("id", "kind", "subject", "owner", "state", "progress", "left", "created_at", "ended_at", "error")


@group()
def job() -> None:
    """Jobs (后台作业): long work that survives a restart."""


def _line(found: Job) -> dict[str, Any]:
    left = found.remaining(clock.now())
    return {
        "id": found.id,
        "kind": found.kind,
        "subject": found.subject,
        "owner": found.submitter,
        "state": found.state.value,
        "progress": f"{found.done}/{found.total or '?'}" if found.done or found.total else "",
        "left": "" if left is None else f"{left.total_seconds():.0f} s",
        "created_at": found.created_at,
        "ended_at": found.ended_at,
        "error": found.error,
    }


@job.command("list")
@click.option("--state", "states", multiple=True, type=click.Choice([s.value for s in JobState]))
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@json_option
async def job_list(ctx: Context, states: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Jobs, newest first."""
    async with ctx.database() as database:
        found = await queries.page(database, actor().scope, states=states or None, limit=limit)
    lines = [_line(one) for one in found]
    print_rows(lines, COLUMNS, as_json, empty="no jobs")


@job.command("show")
@click.argument("job_id", type=int)
@json_option
async def job_show(ctx: Context, job_id: int, as_json: bool) -> None:
    """One job: what it is to do, how far it is, where it runs."""
    async with ctx.database() as database:
        found = await queries.get(database, actor().scope, job_id)
    if found is None:
        raise Failed(f"no job {job_id}; see: smsgwctl job list")
    values = _line(found) | {
        "params": dict(found.params),
        "checkpoint": dict(found.checkpoint),
        "detail": dict(found.detail),
        "node": found.runner if found.state is JobState.RUNNING else found.node,
        "attempts": found.attempts,
        "crashes": found.crashes,
        "per_second": round(found.speed(clock.now()), 1),
        "cancel_asked": found.cancel_asked,
        "started_at": found.started_at,
        "expires_at": found.expires_at,
    }
    if as_json:
        print_json(values)
        return
    for name, value in values.items():
        say(f"{name}: {value}")


@job.command("cancel")
@click.argument("job_id", type=int)
async def job_cancel(ctx: Context, job_id: int) -> None:
    """End a job: at once when it waits, within some seconds when it runs. What it has done stays done;
    the task of an import is cancelled with it."""
    async with ctx.database() as database:
        found = await service.cancel(ctx.change(database), job_id, imports.ENDS)
    click.echo(f"job {job_id}: {'is being cancelled' if found.state is JobState.RUNNING else found.state.value}")

"""``smsgwctl review``: calls and tasks that wait for a reviewer (审核)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from smsgw.commands.base import Context, Failed, group, json_option, print_json, print_table, say, show_time
from smsgw.core.numbers import mask
from smsgw.platform.review import queries, service
from smsgw.platform.review.model import Reviewed

STATES = ("pending", "passed", "rejected", "expired", "withdrawn")


@group()
def review() -> None:
    """Messages and tasks that a reviewer has to see first (审核)."""


def _line(one: Reviewed) -> dict[str, Any]:
    """An id is that of the call or task; what is asked about a task has no end."""
    what = "task" if one.task else "call"
    line = asdict(one)
    del line["task"]
    expires = None if one.task else one.expires_at
    return line | {"batch_id": str(one.batch_id), "what": what, "validity": str(one.validity), "expires_at": expires}


@review.command("list")
@click.option("--state", type=click.Choice((*STATES, "all")), default="pending", show_default=True)
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@json_option
async def review_list(ctx: Context, state: str, limit: int, as_json: bool) -> None:
    """What waits, the newest first."""
    async with ctx.database() as database:
        rows = await queries.page(database, state="" if state == "all" else state, accounts=None, limit=limit)
    lines = [_line(r) for r in rows]
    if as_json:
        print_json(lines)
    else:
        columns = (
            "batch_id", "what", "created_at", "account", "type", "submitter", "numbers", "reasons", "content", "state",
        )  # fmt: skip
        print_table(lines, columns, empty="nothing waits")


@review.command("show")
@click.argument("batch_id", type=int)
@click.option("--unmask", is_flag=True, help="Show whole numbers.")
@json_option
async def review_show(ctx: Context, batch_id: int, unmask: bool, as_json: bool) -> None:
    """One of them, with its first messages."""
    async with ctx.database() as database:
        row = await queries.get(database, batch_id, accounts=None)
        if row is None:
            raise Failed(f"no review {batch_id}; see: smsgwctl review list --state all")
        found = await service.unmask(ctx.change(database), row) if unmask else await queries.sample(database, row)
    sample = [m._asdict() | {"id": str(m.id), "number": m.number if unmask else mask(m.number)} for m in found]
    if as_json:
        print_json(_line(row) | {"messages": sample})
        return
    for name, value in _line(row).items():
        say(f"{name:<12} {show_time(value) if name.endswith('_at') else value}")
    print_table(sample, ("id", "number", "carrier", "content"), empty="")


async def _decide(ctx: Context, batch_id: int, passes: bool, reason: str) -> None:
    body = {"batch_id": batch_id, "passes": passes, "reason": reason}
    result = await ctx.daemon("POST", "/review", body)
    click.echo(f"{result['parts']} part(s) or row(s): {'passed' if passes else 'rejected'}")


@review.command("pass")
@click.argument("batch_id", type=int)
@click.option("--reason", default="")
async def review_pass(ctx: Context, batch_id: int, reason: str) -> None:
    """It may go; not in quiet hours."""
    await _decide(ctx, batch_id, True, reason)


@review.command("reject")
@click.argument("batch_id", type=int)
@click.argument("reason")
async def review_reject(ctx: Context, batch_id: int, reason: str) -> None:
    """It never goes, and why; it is paid back and reported."""
    await _decide(ctx, batch_id, False, reason)

"""``smsgwctl alarm``: what is wrong, and who looks after it."""

from __future__ import annotations

from dataclasses import asdict

import click

from smsgw.commands.base import (
    Context,
    in_locale,
    json_option,
    pass_context,
    print_json,
    print_table,
    run_async,
)
from smsgw.platform.alarms import queries, service


@click.group()
def alarm() -> None:
    """Alarms (告警)."""


@alarm.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that are over.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=200, show_default=True)
@json_option
@pass_context
@run_async
async def alarm_list(ctx: Context, everything: bool, limit: int, as_json: bool) -> None:
    """Open alarms, the gravest first."""
    async with ctx.database() as database:
        alarms = await queries.page(database, accounts=None, everything=everything, limit=limit)
    lines = [asdict(a) | {"detail": a.detail.english, "detail_zh": str(a.detail)} for a in alarms]
    if as_json:
        print_json(lines)
    else:
        lines = [line | {"detail": in_locale(a.detail)} for line, a in zip(lines, alarms, strict=True)]
        columns = ["id", "severity", "kind", "object", "since", "last", "count", "acked_by", "detail"]
        print_table(lines, [*columns, "cleared_at"] if everything else columns, empty="no alarms")


@alarm.command("ack")
@click.argument("ids", nargs=-1, required=True, type=int, metavar="ID...")
@pass_context
@run_async
async def alarm_ack(ctx: Context, ids: tuple[int, ...]) -> None:
    """Say that you look after these alarms; they stay open until the trouble is over."""
    async with ctx.database() as database:
        click.echo(f"{await service.acknowledge(ctx.change(database), ids)} alarm(s) acknowledged")

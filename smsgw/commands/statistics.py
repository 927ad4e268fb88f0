"""``smsgwctl stats``: messages by day of acceptance, and counting a day anew."""

from __future__ import annotations

from datetime import datetime, timedelta

import click

from smsgw.commands.account import account_id
from smsgw.commands.base import Context, Failed, When, group, json_option, print_json, print_table
from smsgw.core.ids import CHINA
from smsgw.platform.statistics import queries, recount, service
from smsgw.platform.statistics.model import DIMENSIONS, STATUSES
from smsgw.runtime import clock

_DAY = When(["%Y-%m-%d"])


@group()
def stats() -> None:
    """Messages by day of acceptance (at most a minute behind)."""


@stats.command("show")
@click.option("--by", "group", default="day", help=f"Comma-separated: {', '.join(DIMENSIONS)}.")
@click.option("--from", "first", type=_DAY, help="First day; 7 days are shown without one.")
@click.option("--to", "last", type=_DAY, help="Last day; today without one.")
@click.option("--account", help="Only this account.")
@click.option("--type", "type_", metavar="TYPE", help="Without the kinds of it; or a kind (smsgwctl kind list).")
@click.option("--sign")
@json_option
async def stats_show(
    ctx: Context, group: str, first: datetime | None, last: datetime | None, account: str | None,
    type_: str | None, sign: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Show counts, in messages; parts and units are (billable) parts."""
    to = last.date() if last else clock.now().astimezone(CHINA).date()
    names = group.split(",")
    async with ctx.database() as database:
        only = None if account is None else [await account_id(database, account)]
        lines = await queries.by_day(
            database, first=first.date() if first else to - timedelta(days=6), last=to, group=names,
            accounts=only, type_=type_, sign=sign,
        )  # fmt: skip
    rows = [
        {name: str(value) for name, value in line.keys.items()}
        | {"accepted": line.accepted, "parts": line.parts, "units": line.units}
        | {status: line.ended.get(status, 0) for status in STATUSES}
        for line in lines
    ]
    if as_json:
        print_json(rows)
        return
    print_table(rows, (*dict.fromkeys(names), "accepted", "parts", "units", *STATUSES), empty="nothing was sent")


@stats.command("recount")
@click.argument("day", type=_DAY)
@click.option("--to", "last", type=_DAY, help="Last of several days; the daemon counts them, as a job.")
async def stats_recount(ctx: Context, day: datetime, last: datetime | None) -> None:
    """Count a day anew; its reports must not have passed their retention."""
    oldest = clock.now().astimezone(CHINA).date() - timedelta(days=ctx.settings.retention.events_days - 1)
    if day.date() < oldest:
        raise Failed(f"reports are kept since {oldest}; an older day cannot be counted again")
    if last is not None and not 0 <= (last - day).days < recount.MAX_DAYS:
        raise Failed("--to: not before the first day, and at most a year behind it")
    async with ctx.database() as database:
        if last is not None:
            job = await recount.begin(ctx.change(database), day.date(), last.date())
            if job is None:
                raise Failed("these days are being counted already; see: smsgwctl job list")
            click.echo(f"job {job}; see: smsgwctl job show {job}")
            return
        await service.recount(ctx.change(database), day.date())
    click.echo(f"{day:%Y-%m-%d} counted anew")

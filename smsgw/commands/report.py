"""``smsgwctl report``: delivery reports that have found no message, and how channels spell their ids."""

from __future__ import annotations

from datetime import timedelta

import click

from smsgw.commands.base import Context, group, json_option, print_json, print_table
from smsgw.core import numbers
from smsgw.core.ids import first_id
from smsgw.core.report_ids import Spelling
from smsgw.platform.channels import queries
from smsgw.runtime import clock

LOOK_BACK = timedelta(days=13)


@group()
def report() -> None:
    """Delivery reports (状态报告)."""


@report.command("unmatched")
@click.option("--channel", help="Of this channel only.")
@click.option("--limit", type=click.IntRange(1, 5000), default=100, show_default=True)
@json_option
async def report_unmatched(ctx: Context, channel: str | None, limit: int, as_json: bool) -> None:
    """Reports without a message, newest first, and the spelling under which each would fit exactly one."""
    async with ctx.database() as database:
        oldest = first_id(clock.now() - LOOK_BACK)
        lines = await queries.unmatched_reports(database, channel, limit=limit, oldest=oldest)
    for line in lines:
        line["number"] = numbers.mask(line["number"])
    if as_json:
        print_json(lines)
        return
    print_table(
        lines,
        ("channel", "carrier_id", "number", "code", "received_at", "proposed", "message_id"),
        empty="no unmatched report",
    )
    for name, mode in sorted({(line["channel"], line["proposed"]) for line in lines if line["proposed"]}):
        click.echo(f"to adopt: smsgwctl report rematch --channel {name} --mode {mode}")


@report.command("rematch")
@click.option("--channel", help="Reports of this channel only.")
@click.option(
    "--mode",
    type=click.Choice([str(s) for s in Spelling]),
    help="How the channel spells ids in answer and report; nothing is learned about it any more.",
)
@json_option
async def report_rematch(ctx: Context, channel: str | None, mode: str | None, as_json: bool) -> None:
    """Look again at the unmatched reports (of up to 5,000 at a time)."""
    if mode and not channel:
        raise click.UsageError("--mode needs --channel")
    body = {"channel": channel, "mode": mode}
    answer = await ctx.daemon("POST", "/reports/rematch", body)
    if as_json:
        print_json(answer)
    else:
        click.echo(f"{answer['matched']} reports have found their message")

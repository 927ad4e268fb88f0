"""``smsgwctl evidence``: what proves the results of messages."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import click

from smsgw.channels.wire.proofs import readings
from smsgw.commands.base import Context, When, group, json_option, print_json, print_rows, say
from smsgw.platform.evidence import queries, verification
from smsgw.runtime import clock

DAY = When(["%Y-%m-%d"])


@group()
def evidence() -> None:
    """Evidence of results (回执存证): carriers' PDUs and the daily roots over them."""


@evidence.command("verify")
@click.option("--day", type=DAY, help="Only this day (China); default: all.")
@click.option(
    "--anchor", "files", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Further anchors: the file of another node, or a system log with them.",
)  # fmt: skip
@json_option
async def evidence_verify(ctx: Context, day: datetime | None, files: tuple[Path, ...], as_json: bool) -> None:
    """Digest and decode PDUs, make roots anew and compare results with evidence; exit 1 when something does not fit."""
    async with ctx.database() as database:
        report = await verification.verify(
            database, ctx.sealer(), ctx.settings.evidence_file, files, now=clock.now(), reads=readings,
            only=day and day.date(),
        )  # fmt: skip
    if as_json:
        print_json(verification.told(report) | {"sound": report.sound})
    else:
        click.echo(
            f"{report.days} days, {report.leaves} pieces of evidence, {report.pdus} PDUs, {report.results} results, "
            f"{report.anchors} anchors"
        )
        if report.forgotten:
            click.echo(f"{report.forgotten} PDUs have had their time: their digests are in the roots")
        if report.gone:
            click.echo(f"{report.gone} days have had their time: their roots are signed")
        for problem in report.problems:
            say(f"NOT SOUND: {problem.day} {problem.kind} {problem.about}".rstrip())
        if report.more:
            click.echo(f"NOT SOUND: {report.more} more problems")
    if not report.sound:
        raise SystemExit(1)


@evidence.command("roots")
@click.option("--from", "first", type=DAY, required=True, help="From this day (China) on.")
@click.option("--to", "before", type=DAY, required=True, help="Before this day.")
@json_option
async def evidence_roots(ctx: Context, first: datetime, before: datetime, as_json: bool) -> None:
    """The daily roots, to be compared with statements and anchors."""
    async with ctx.database() as database:
        found = await queries.roots(database, first.date(), before.date())
    lines = [{"day": _iso(day), "leaves": leaves, "root": root} for day, root, leaves in found]
    print_rows(lines, ("day", "leaves", "root"), as_json, empty="no roots in this time")


def _iso(day: date) -> str:
    return day.isoformat()

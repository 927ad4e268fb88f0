"""``smsgwctl fact``: what carriers have said and the database could not take."""

from __future__ import annotations

import click

from smsgw.commands.base import Context, group, json_option, print_json, print_rows
from smsgw.platform.channels import queries


@group()
def fact() -> None:
    """Answers, reports and messages that the database has refused; they lie aside."""


@fact.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@json_option
async def fact_list(ctx: Context, limit: int, as_json: bool) -> None:
    """What lies aside, oldest first, and why."""
    async with ctx.database() as database:
        lines = [
            {"id": p.id, "kind": p.kind, "about": p.about, "error": p.error, "node": p.node, "parked_at": p.parked_at}
            for p in await queries.parked_facts(database, limit=limit)
        ]
    print_rows(lines, ("id", "kind", "about", "error", "node", "parked_at"), as_json, empty="nothing lies aside")


@fact.command("retry")
@click.argument("ids", nargs=-1, type=int, metavar="[ID]...")
@json_option
async def fact_retry(ctx: Context, ids: tuple[int, ...], as_json: bool) -> None:
    """Try them again: all (up to 1,000 at a time), or these. What is refused again lies aside again."""
    answer = await ctx.daemon("POST", "/facts/retry", {"ids": list(ids)})
    if as_json:
        print_json(answer)
    else:
        click.echo(f"{answer['applied']} applied, {answer['refused']} not")

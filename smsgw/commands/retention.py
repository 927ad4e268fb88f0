"""``smsgwctl retention``: when numbers and texts go from records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import click

from smsgw.commands.base import Context, group, json_option, print_json, print_table
from smsgw.core.ids import CHINA
from smsgw.core.retention import CLASSES, Ages, least
from smsgw.pipeline.upkeep.retention import RetentionSweep
from smsgw.platform.paging import MOST, Window
from smsgw.platform.retention import queries, service
from smsgw.runtime import clock


def _least(ctx: Context) -> Mapping[str, int]:
    kept = ctx.settings.retention
    return least(ctx.settings.durability.open_for, kept.events_days, kept.submits_days)


@group()
def retention() -> None:
    """When numbers and texts go from records (数据保留与脱敏)."""


@retention.command("show")
@json_option
async def retention_show(ctx: Context, as_json: bool) -> None:
    """What holds, what each class of data holds, and what the next run would do."""
    async with ctx.database() as database:
        ages = await queries.in_force(database)
        held = await queries.held(database)
        today = clock.now().astimezone(CHINA).date()
        coming = {one.name: one for one in await queries.coming(database, ages.at_least(_least(ctx)), today)}
    lines = []
    for one in held:
        after = ages.of(one.name) if one.name in CLASSES else 0
        due = coming.get(one.name)
        lines.append(
            asdict(one) | {"mask_days": after, "due_days": due.days if due else 0, "due_rows": due.rows if due else 0}
        )
    if as_json:
        print_json({"texts": ages.texts, "classes": lines})
    else:
        columns = ["name", "rows", "octets", "first", "last", "mask_days", "masked", "due_days", "due_rows"]
        print_table(lines, columns, empty="nothing")


@retention.command("rules")
@json_option
async def retention_rules(ctx: Context, as_json: bool) -> None:
    """Rules that were asked for, the newest first."""
    async with ctx.database() as database:
        found = await queries.RETENTION_RULES.search(database, ctx.change(database).actor, None, Window(limit=MOST))
    lines = [asdict(one) for one in found.rows]
    if as_json:
        print_json(lines)
    else:
        days = [f"{name}_days" for name in CLASSES]
        columns = ["id", "state", "holds", *days, "texts", "asked_by", "decided_by"]
        print_table(lines, columns, empty="no rules: nothing is masked")


@retention.command("ask")
@click.option("--messages", type=int, required=True, help="Days; 0: never.")
@click.option("--inbound", type=int, required=True, help="Days; 0: never.")
@click.option("--pdus", type=int, required=True, help="Days, no more than of messages; 0: never.")
@click.option("--clicks", type=int, default=0, show_default=True, help="Days, of addresses; 0: never.")
@click.option("--keep-texts", is_flag=True, help="Texts stay until the rows go.")
@click.option("--reason", required=True)
async def retention_ask(
    ctx: Context, messages: int, inbound: int, pdus: int, clicks: int, keep_texts: bool, reason: str
) -> None:
    """Ask that numbers go after so many days; somebody else decides."""
    async with ctx.database() as database:
        ages = Ages(messages, inbound, pdus, not keep_texts, clicks)
        id_ = await service.ask(ctx.change(database), ages, reason, least=_least(ctx))
    click.echo(f"rule {id_} waits for its decision")


@retention.command("decide")
@click.argument("rule", type=int)
@click.option("--pass/--reject", "passes", required=True, default=None)
@click.option("--answer", required=True)
async def retention_decide(ctx: Context, rule: int, passes: bool, answer: str) -> None:
    """Pass a rule that somebody else has asked for, or reject it. What it masks cannot be undone."""
    async with ctx.database() as database:
        await service.decide(ctx.change(database), rule, passes=passes, answer=answer)
    click.echo(f"rule {rule} {'holds' if passes else 'was rejected'}")


@retention.command("run")
@json_option
async def retention_run(ctx: Context, as_json: bool) -> None:
    """Do now what is due, in small steps beside the sending; may be broken off and repeated."""
    async with ctx.database() as database:
        done = await RetentionSweep(database, ctx.sealer(), _least(ctx)).run()
    if as_json:
        print_json(asdict(done))
        return
    for name, rows in done.rows.items():
        click.echo(f"{name}: {rows} rows of {done.days[name]} days")
    click.echo(f"{done.tasks} tasks")

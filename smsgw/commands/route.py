"""``smsgwctl route``: the route table as data: versioned, tried before it is published, rolled back at once."""

from __future__ import annotations

import asyncio
import difflib
import json
import sys
import tomllib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from smsgw.commands.base import Context, Failed, actor, group, json_option, known, print_json, print_rows, print_table
from smsgw.core import routes as core
from smsgw.core.ids import CHINA
from smsgw.core.routes import InvalidRoutes
from smsgw.pipeline.upkeep.rerouting import Followed
from smsgw.platform.handles import Database
from smsgw.platform.kinds import queries as kind_queries
from smsgw.platform.paging import Window
from smsgw.platform.routing import approvals, drafts, queries, service, trial
from smsgw.platform.routing.following import LATECOMERS
from smsgw.platform.routing.model import EMPTY
from smsgw.platform.routing.publication import Made
from smsgw.runtime import clock

FILE = click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))


@group()
def route() -> None:
    """Routes: rules, pools, versions (docs/routing.md)."""


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text("utf-8")
        document = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as exc:
        raise Failed(f"{path}: {exc}") from exc
    if not isinstance(document, dict):
        raise Failed(f"{path}: a table is wanted")
    return document


def _toml(document: dict[str, Any]) -> str:
    """The document as people write it."""
    lines: list[str] = []
    for kind in ("pool", "rule"):
        for table in document.get(kind, []):
            lines.append(f"[[{kind}]]")
            lines += [f"{key} = {_value(value)}" for key, value in table.items()]
            lines.append("")
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_value(v)}" for k, v in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


@route.command("show")
@click.option("--version", type=int, help="An old version; the one in force without it.")
@json_option
async def route_show(ctx: Context, version: int | None, as_json: bool) -> None:
    """Print the table, in the form that `publish` reads."""
    async with ctx.database() as database:
        found = await (queries.version(database, version) if version else queries.newest(database))
    document = found.document if found else dict(EMPTY)
    if as_json:
        print_json({"version": found.version if found else 0, "document": document})
        return
    if found is None:
        click.echo("# nothing published: messages go to the built-in pool of their carrier")
    else:
        click.echo(f"# version {found.version}, {found.published_at:%Y-%m-%d %H:%M} by {found.actor}: {found.note}\n")
    click.echo(_toml(document))


@route.command("check")
@FILE
async def route_check(ctx: Context, file: Path) -> None:
    """Check a table against the channels that exist; publishes nothing."""
    document = _read(file)
    async with ctx.database() as database:
        known = await queries.channel_names(database)
        types = await kind_queries.all_kinds(database)
    try:
        table = core.parse(document, version=0, channels=known, kinds=types)
    except InvalidRoutes as exc:
        raise Failed("\n".join(["the table cannot be used:", *(f"  {p}" for p in exc.problems)])) from exc
    click.echo(f"{len(table.rules)} rules, {len(table.pools)} pools: sound")


@route.command("simulate")
@FILE
@click.option("--messages", "sample", type=click.IntRange(1, 100_000), default=1000, show_default=True,
              help="How many of the last messages to try.")  # fmt: skip
@click.option("--hours", type=click.IntRange(1, 48), help="Instead: all of the last so many hours, by channel.")
@click.option("--yesterday", is_flag=True, help="Instead: all of yesterday (China), by channel.")
@json_option
async def route_simulate(
    ctx: Context, file: Path, sample: int, hours: int | None, yesterday: bool, as_json: bool
) -> None:
    """Which messages would go another way under this table; sends and publishes nothing."""
    document = _read(file)
    if hours or yesterday:
        await _tried(ctx, document, hours, as_json)
        return
    async with ctx.database() as database:
        known = await queries.channel_names(database)
        types = await kind_queries.all_kinds(database)
        try:
            planned = core.parse(document, version=0, channels=known, kinds=types)
        except InvalidRoutes as exc:
            raise Failed("\n".join(["the table cannot be used:", *(f"  {p}" for p in exc.problems)])) from exc
        current = await queries.table(database)
        subjects = await queries.recent_subjects(database, sample)
    moves: dict[tuple[str, str], int] = {}
    for subject in subjects:
        move = (current.pool_for(subject), planned.pool_for(subject))
        moves[move] = moves.get(move, 0) + 1
    lines = [
        {"now": now, "planned": then, "messages": n, "": "" if now == then else "moves"}
        for (now, then), n in sorted(moves.items())
    ]
    if as_json:
        print_json([{k: v for k, v in line.items() if k} for line in lines])
    else:
        print_table(lines, ("now", "planned", "messages", ""), empty="no messages yet to try it on")


async def _tried(ctx: Context, document: dict[str, Any], hours: int | None, as_json: bool) -> None:
    """What channels would have carried of a span's messages, now and with the table."""
    end = clock.now()
    if not hours:
        end = end.astimezone(CHINA).replace(hour=0, minute=0, second=0, microsecond=0)
    async with ctx.database() as database:
        known = await queries.channel_names(database)
        types = await kind_queries.all_kinds(database)
        try:
            planned = core.parse(document, version=0, channels=known, kinds=types)
        except InvalidRoutes as exc:
            raise Failed("\n".join(["the table cannot be used:", *(f"  {p}" for p in exc.problems)])) from exc
        now = await queries.table(database)
        seen = await trial.traffic(database, end - timedelta(hours=hours or 24), end, (now, planned))
        found = await trial.compare(seen, now, planned, await queries.channel_specs(database))
    lines = [
        {"channel": one.name, "now": round(one.messages_before), "planned": round(one.messages_after),
         "busiest_now": round(one.busiest_before, 2), "busiest_planned": round(one.busiest_after, 2), "rate": one.rate}
        for one in found.channels
    ]  # fmt: skip
    if as_json:
        print_json({"messages": found.messages, "whole": found.whole, "sampled": found.sampled,
                    "changed": found.changed, "lost_now": found.lost_before,
                    "lost_planned": found.lost_after, "channels": lines})  # fmt: skip
        return
    click.echo(
        f"{'about ' if found.sampled else ''}{found.messages} messages{'' if found.whole else ' (of more)'}: "
        f"{found.changed} would go by other channels, "
        f"{found.lost_after} would find none ({found.lost_before} now)"
    )
    shown = [{key: str(value) for key, value in line.items()} for line in lines]
    print_table(shown, ("channel", "now", "planned", "busiest_now", "busiest_planned", "rate"), empty="no channels")


@route.command("publish")
@FILE
@click.option("--note", required=True, help="What the change is for.")
async def route_publish(ctx: Context, file: Path, note: str) -> None:
    """Put a table in force. What is queued stays in its pool, while there is one."""
    document = _read(file)
    async with ctx.database() as database:
        made = await service.publish(ctx.change(database), document, note)
        await ctx.tell_daemon()
        await _in_force(database, made)


@route.command("move")
@click.option("--account", default="", help="Its messages move, …")
@click.option("--sign", default="", help="… or those with this signature.")
@click.option("--to", "channel", required=True, help="The channel that carries them from now on.")
@click.option("--note", default="", help="What the change is for.")
async def route_move(ctx: Context, account: str, sign: str, channel: str, note: str) -> None:
    """Give an account or a signature to one channel: a rule before all others, as a new version of the table.

    What is queued, held or scheduled follows; what a channel has taken already stays with it. Replies to the number
    that was used before still find the account.
    """
    if bool(account) == bool(sign):
        raise click.UsageError("one of --account and --sign is wanted")
    kind, value = ("account", account) if account else ("sign", sign)
    note = note or f"{kind} {value} to {channel}"
    async with ctx.database() as database:
        wanted = f"channel {channel}" + (f", or no account {account}" if account else "")
        with known(wanted, "smsgwctl channel list or account list"):
            made = await service.move(ctx.change(database), kind, value, channel, note)
        await ctx.tell_daemon()
        await _in_force(database, made)


@route.command("restore")
@click.option("--account", default="", help="Its messages go by the rules again, …")
@click.option("--sign", default="", help="… or those with this signature.")
@click.option("--note", default="", help="What the change is for.")
async def route_restore(ctx: Context, account: str, sign: str, note: str) -> None:
    """Take a move back, as a new version of the table. What is queued follows."""
    if bool(account) == bool(sign):
        raise click.UsageError("one of --account and --sign is wanted")
    kind, value = ("account", account) if account else ("sign", sign)
    async with ctx.database() as database:
        made = await service.restore(ctx.change(database), kind, value, note or f"{kind} {value} by the rules again")
        await ctx.tell_daemon()
        await _in_force(database, made)


async def _in_force(database: Database, made: Made) -> None:
    """Say so, and let what is queued follow; or whom it waits for."""
    if made.waits:
        click.echo(f"it waits for somebody else: smsgwctl route approve {made.waits}")
        return
    version, before = made.version, await queries.before(database, made.version)
    click.echo(f"version {version} is in force; back with: smsgwctl route rollback {before} --seen {version}")
    followed = await service.follow_queued(database)
    if followed.moved or followed.busy:
        # Other nodes take up the table within a second or two: what they have accepted meanwhile follows as well.
        await asyncio.sleep(LATECOMERS)
        late = await service.follow_queued(database)
        followed = Followed(followed.moved + late.moved, followed.busy + late.busy)
    click.echo(f"{followed.moved} queued messages moved; {followed.busy} were just being taken by a channel")


@route.command("rollback")
@click.argument("version", type=click.IntRange(0))
@click.option("--seen", type=click.IntRange(0), help="The version in force when you looked; refused when another is.")
async def route_rollback(ctx: Context, version: int, seen: int | None) -> None:
    """Put an old version in force again, 0 being that without rules.

    At a terminal it shows what would be otherwise, and asks; elsewhere --seen says what was looked at.
    """
    async with ctx.database() as database:
        if seen is None:
            seen = await _looked_at(database, version)
        with _known(version):
            made = await service.rollback(ctx.change(database), version, seen=seen)
        await ctx.tell_daemon()
        if made.version:
            click.echo(f"version {made.version} is the same as version {version}")
        await _in_force(database, made)


def _known(version: int) -> AbstractContextManager[None]:
    return known(f"version {version} of the routes", "smsgwctl route versions")


async def _looked_at(database: Database, version: int) -> int:
    """The version in force, once somebody at the terminal has said yes to the differences."""
    if not sys.stdin.isatty():
        raise click.UsageError("needed: --seen, the version in force; see: smsgwctl route versions")
    newest = await queries.newest(database)
    now = newest.version if newest else 0
    with _known(version):
        old = (await queries.version(database, version)).document if version else EMPTY
    click.echo(_difference(newest.document if newest else EMPTY, old, f"version {now}", f"version {version}"))
    click.confirm(f"back from version {now} to {version}?", abort=True)
    return now


def _difference(before: Mapping[str, Any], after: Mapping[str, Any], old: str, new: str) -> str:
    """For people at a terminal."""
    lines = difflib.unified_diff(
        _toml(dict(before)).splitlines(), _toml(dict(after)).splitlines(), old, new, lineterm=""
    )
    return "\n".join(lines) or "no difference"


@route.command("submitted")
@json_option
async def route_submitted(ctx: Context, as_json: bool) -> None:
    """Tables that wait, or waited, for a second person (setting route_approval), newest first."""
    async with ctx.database() as database:
        found = await approvals.SUBMISSIONS.search(database, actor(), None, Window("made_at", limit=100))
    lines = [
        {"id": s.id, "state": s.state, "base": s.base, "made_by": s.made_by, "made_at": s.made_at, "note": s.note,
         "decided_by": s.decided_by, "answer": s.answer, "version": s.version}
        for s in found.rows
    ]  # fmt: skip
    if as_json:
        print_json(lines)
    else:
        columns = ("id", "state", "base", "made_by", "made_at", "note", "decided_by", "answer", "version")
        print_table(lines, columns, empty="nothing was submitted")


@route.command("submission")
@click.argument("id_", type=click.IntRange(1), metavar="ID")
async def route_submission(ctx: Context, id_: int) -> None:
    """What one of them would change."""
    async with ctx.database() as database:
        found = await approvals.SUBMISSIONS.get(database, actor(), id_)
        if found is None:
            raise Failed(f"nothing was submitted as {id_}; see: smsgwctl route submitted")
        before = await drafts.document_of(database, found.base)
    click.echo(_difference(before, found.document, f"version {found.base}", f"submitted {id_}"))


@route.command("approve")
@click.argument("id_", type=click.IntRange(1), metavar="ID")
@click.option("--reason", default="", help="Kept with it.")
async def route_approve(ctx: Context, id_: int, reason: str) -> None:
    """Put a table in force that waits; not one's own (see: submission ID). What is queued follows."""
    async with ctx.database() as database:
        made = await approvals.approve(ctx.change(database), id_, reason)
        await ctx.tell_daemon()
        await _in_force(database, made)


@route.command("reject")
@click.argument("id_", type=click.IntRange(1), metavar="ID")
@click.option("--reason", default="", help="Kept with it.")
async def route_reject(ctx: Context, id_: int, reason: str) -> str:
    """Refuse a table that waits, or take one's own back."""
    async with ctx.database() as database:
        await approvals.reject(ctx.change(database), id_, reason)
    return f"table {id_} is refused; what is in force stays"


@route.command("versions")
@json_option
async def route_versions(ctx: Context, as_json: bool) -> None:
    """What was published, newest first."""
    async with ctx.database() as database:
        found = (await queries.VERSIONS.search(database, actor(), None, Window("version", limit=100))).rows
    lines = [
        {"version": v.version, "published_at": v.published_at, "actor": v.actor, "note": v.note,
         "rules": len(v.document.get("rule", [])), "pools": len(v.document.get("pool", []))}
        for v in found
    ]  # fmt: skip
    print_rows(
        lines, ("version", "published_at", "actor", "rules", "pools", "note"), as_json, empty="nothing published"
    )


@route.command("diff")
@click.argument("old", type=int)
@click.argument("new", type=int)
async def route_diff(ctx: Context, old: int, new: int) -> None:
    """What changed between two versions."""
    async with ctx.database() as database:
        with _known(old):
            before = await queries.version(database, old)
        with _known(new):
            after = await queries.version(database, new)
    click.echo(_difference(before.document, after.document, f"version {old}", f"version {new}"))

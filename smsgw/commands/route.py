"""``smsgwctl route``: the route table as data: versioned, tried before it is published, rolled back at once."""

from __future__ import annotations

import asyncio
import difflib
import json
import tomllib
from pathlib import Path
from typing import Any

import click

from smsgw.commands.base import (
    Context,
    Failed,
    json_option,
    pass_context,
    print_json,
    print_table,
    run_async,
)
from smsgw.core import routes as core
from smsgw.core.routes import InvalidRoutes
from smsgw.pipeline.upkeep.rerouting import Followed
from smsgw.platform.handles import Database
from smsgw.platform.routing import queries, service
from smsgw.platform.routing.following import LATECOMERS
from smsgw.platform.routing.model import EMPTY

FILE = click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))


@click.group()
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
@pass_context
@run_async
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
        click.echo(
            f"# version {found.version}, {found.published_at:%Y-%m-%d %H:%M} by {found.actor}: {found.note}\n"
        )
    click.echo(_toml(document))


@route.command("check")
@FILE
@pass_context
@run_async
async def route_check(ctx: Context, file: Path) -> None:
    """Check a table against the channels that exist; publishes nothing."""
    document = _read(file)
    async with ctx.database() as database:
        known = await queries.channel_names(database)
    try:
        table = core.parse(document, version=0, channels=known)
    except InvalidRoutes as exc:
        raise Failed("\n".join(["the table cannot be used:", *(f"  {p}" for p in exc.problems)])) from exc
    click.echo(f"{len(table.rules)} rules, {len(table.pools)} pools: sound")


@route.command("simulate")
@FILE
@click.option("--messages", "sample", type=click.IntRange(1, 100_000), default=1000, show_default=True,
              help="How many of the last messages to try.")  # fmt: skip
@json_option
@pass_context
@run_async
async def route_simulate(ctx: Context, file: Path, sample: int, as_json: bool) -> None:
    """Which of the last messages would go another way under this table; sends and publishes nothing."""
    document = _read(file)
    async with ctx.database() as database:
        known = await queries.channel_names(database)
        try:
            planned = core.parse(document, version=0, channels=known)
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


@route.command("publish")
@FILE
@click.option("--note", required=True, help="What the change is for.")
@pass_context
@run_async
async def route_publish(ctx: Context, file: Path, note: str) -> None:
    """Put a table in force. What is queued stays in its pool, while there is one."""
    document = _read(file)
    async with ctx.database() as database:
        version = await service.publish(ctx.change(database), document, note)
        await ctx.tell_daemon()
        await _in_force(database, version)


@route.command("move")
@click.option("--account", default="", help="Its messages move, …")
@click.option("--sign", default="", help="… or those with this signature.")
@click.option("--to", "channel", required=True, help="The channel that carries them from now on.")
@click.option("--note", default="", help="What the change is for.")
@pass_context
@run_async
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
        version = await service.move(ctx.change(database), kind, value, channel, note)
        await ctx.tell_daemon()
        await _in_force(database, version)


@route.command("restore")
@click.option("--account", default="", help="Its messages go by the rules again, …")
@click.option("--sign", default="", help="… or those with this signature.")
@click.option("--note", default="", help="What the change is for.")
@pass_context
@run_async
async def route_restore(ctx: Context, account: str, sign: str, note: str) -> None:
    """Take a move back, as a new version of the table. What is queued follows."""
    if bool(account) == bool(sign):
        raise click.UsageError("one of --account and --sign is wanted")
    kind, value = ("account", account) if account else ("sign", sign)
    async with ctx.database() as database:
        version = await service.restore(ctx.change(database), kind, value, note or f"{kind} {value} by the rules again")
        await ctx.tell_daemon()
        await _in_force(database, version)


async def _in_force(database: Database, version: int) -> None:
    """Say so, and let what is queued follow."""
    click.echo(f"version {version} is in force; back with: smsgwctl route rollback {version - 1}")
    followed = await service.follow_queued(database)
    if followed.moved or followed.busy:
        # Other nodes take up the table within a second or two: what they have accepted meanwhile follows as well.
        await asyncio.sleep(LATECOMERS)
        late = await service.follow_queued(database)
        followed = Followed(followed.moved + late.moved, followed.busy + late.busy)
    click.echo(f"{followed.moved} queued messages moved; {followed.busy} were just being taken by a channel")


@route.command("rollback")
@click.argument("version", type=int)
@pass_context
@run_async
async def route_rollback(ctx: Context, version: int) -> None:
    """Put an old version in force again."""
    async with ctx.database() as database:
        new = await service.rollback(ctx.change(database), version)
        await ctx.tell_daemon()
        click.echo(f"version {new} is the same as version {version}")
        await _in_force(database, new)


@route.command("versions")
@json_option
@pass_context
@run_async
async def route_versions(ctx: Context, as_json: bool) -> None:
    """What was published, newest first."""
    async with ctx.database() as database:
        found = await queries.versions(database)
    lines = [
        {"version": v.version, "published_at": v.published_at, "actor": v.actor, "note": v.note,
         "rules": len(v.document.get("rule", [])), "pools": len(v.document.get("pool", []))}
        for v in found
    ]  # fmt: skip
    if as_json:
        print_json(lines)
    else:
        print_table(
            lines,
            ("version", "published_at", "actor", "rules", "pools", "note"),
            empty="nothing published",
        )


@route.command("diff")
@click.argument("old", type=int)
@click.argument("new", type=int)
@pass_context
@run_async
async def route_diff(ctx: Context, old: int, new: int) -> None:
    """What changed between two versions."""
    async with ctx.database() as database:
        before, after = await queries.version(database, old), await queries.version(database, new)
    lines = difflib.unified_diff(
        _toml(before.document).splitlines(), _toml(after.document).splitlines(),
        f"version {old}", f"version {new}", lineterm="",
    )  # fmt: skip
    click.echo("\n".join(lines) or "no difference")

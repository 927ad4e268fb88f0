"""The daemon itself: run it, check what it would run with, ask how it is."""

from __future__ import annotations

import asyncio
import faulthandler
import os

import click
import uvloop

from smsgw.commands.base import Context, Failed, a_dsn, command, json_option, pass_context, print_json, print_table, say
from smsgw.commands.partners import BIND_COLUMNS
from smsgw.platform.database import queries
from smsgw.runtime import log
from smsgw.runtime.attached import attach
from smsgw.runtime.config import MAX_WORKERS
from smsgw.runtime.worker_pool import EDGE, Place, left_over


@command()
@click.option("--attached", is_flag=True, hidden=True, help="End with standard input: with what has begun it.")
@click.option("--worker", type=click.IntRange(EDGE, MAX_WORKERS), hidden=True, help="Of several, by their supervisor.")
@click.option("--of", "of", type=click.IntRange(1, MAX_WORKERS), default=1, hidden=True)
@click.option("--edge", is_flag=True, hidden=True, help="Short links have a process of their own.")
@pass_context
def run(ctx: Context, attached: bool, worker: int | None, of: int, edge: bool) -> None:
    """Run the daemon."""
    from smsgw.node import life, link_server as edges, supervisor

    if attached:
        attach()
    settings = ctx.settings
    faulthandler.enable()  # the watchdog's SIGABRT: what stood still is on standard error
    place = None if worker is None else Place(settings.node.data_dir, worker, of, crewed=True, edge=edge)
    always = {"worker": place.name} if place is not None else {}
    log.setup(os.environ.get("SMSGW_LOG_LEVEL", "info"), os.environ.get("SMSGW_LOG_FORMAT", "auto"), always)
    surplus = left_over(settings.node.data_dir, settings.node.processes) if place is None else []
    status = 0
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            if place is None and (settings.node.processes > 1 or settings.edge or surplus):
                status = runner.run(supervisor.run(settings, ctx.config_path, surplus))
            elif place is not None and place.worker == EDGE:
                runner.run(edges.run(settings, place))
            else:
                runner.run(life.run(settings, place))
    except (RuntimeError, OSError) as exc:
        raise Failed(str(exc)) from exc
    if status:
        raise SystemExit(status)


@command()
@click.option("--dsn", "owner_dsn", default="", callback=a_dsn,
              help="Of the role that owns the tables; [database] owner_dsn or dsn without it.")  # fmt: skip
async def migrate(ctx: Context, owner_dsn: str) -> None:
    """Bring the database to this program's schema, and give the role of [database] dsn what it needs."""
    if owner_dsn and not ctx.settings.database.dsn:
        raise Failed("the embedded database has roles of its own: --dsn is for [database] dsn")
    async with ctx.database(owner_dsn=owner_dsn) as database:
        version = await queries.schema(database)
    click.echo(f"schema {version} (this program knows {queries.KNOWN_SCHEMA})")


@command()
async def check(ctx: Context) -> None:
    """Check the configuration and whether the database can be reached; changes nothing else."""
    settings = ctx.settings
    async with ctx.database() as database:
        server = await queries.server(database)
    where = "external" if settings.database.dsn else f"embedded in {settings.node.data_dir}"
    click.echo(f"configuration  ok ({ctx.config_path or 'defaults'})")
    click.echo(
        f"database       PostgreSQL {server.version}, {where}, fsync {server.fsync}, "
        f"synchronous_commit {server.synchronous_commit}"
    )
    click.echo(f"role           {server.role}{', WARNING: ' + server.excess if server.excess else ''}")
    if server.excess:
        click.echo("               smsgw needs none of that while it runs: two roles are better (docs/operations.md)")
    wanted = queries.locks_wanted(settings.retention.messages_days)
    if server.locks < wanted:
        click.echo(
            f"locks          WARNING: room for {server.locks:,}, and messages of {settings.retention.messages_days} "
            f"days may need {wanted:,}: raise max_locks_per_transaction (docs/operations.md)"
        )
    if server.faulty:
        raise Failed(
            f"PostgreSQL {server.version} may crash or pass rows over when rows are updated concurrently: "
            "upgrade it to 18.7 or later, or use 15, 16 or 17 (docs/operations.md)"
        )
    if not server.durable:
        raise Failed("accepted would not mean durable: switch fsync and synchronous_commit on")


@command()
@json_option
async def status(ctx: Context, as_json: bool) -> None:
    """How the running daemon is doing."""
    answer = await ctx.daemon("GET", "/status")
    if as_json:
        print_json(answer)
        return
    click.echo(f"node {answer['node']}, version {answer['version']}: {'ready' if answer['ready'] else 'NOT READY'}")
    for one in answer.get("workers", ()):
        runs = "" if one["channels"] is None else f", {len(one['channels'])} channels"
        click.echo(f"  worker {one['worker']:<7} {one['state']}{runs}")
    for name, value in (answer["checks"] | answer["urls"]).items():
        click.echo(f"  {name:<14} {value}")
    if redis := answer.get("redis"):
        where = redis["server"] or f"away for {redis['away']} s: {redis['problem']}"
        say(f"  {'redis':<14} {where}, hears {redis['hears']} of {redis['others']} other node(s)")
        for seen in redis["sentinels"]:
            said = seen["problem"] or (
                f"{seen['state']}, master {seen['master']}, {seen['replicas']} replica(s), {seen['sentinels']} in all"
                f", quorum {seen['quorum']}"
            )
            say(f"    {seen['sentinel']:<12} {said}")
    for a in answer["alarms"]:
        click.echo(f"  ALARM {a['severity']:<8} {a['kind']} {a['object']}: {a['detail'] or '-'}")
    print_table(
        answer["channels"],
        ("name", "protocol", "node", "state", "bound", "connections", "window_used", "window", "rate_now", "rate_limit",
         "submitted_today", "reason", "last_error"),
        empty="no channels yet; see: smsgwctl channel add --help",
    )  # fmt: skip
    if answer["partners"]:
        print_table(answer["partners"], BIND_COLUMNS, empty="")

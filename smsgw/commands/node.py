"""The daemon itself: run it, check what it would run with, ask how it is."""

from __future__ import annotations

import asyncio
import faulthandler
import os

import click
import uvloop

from smsgw.commands.base import Context, Failed, json_option, pass_context, print_json, print_table, run_async
from smsgw.commands.partners import BIND_COLUMNS
from smsgw.platform.database import queries
from smsgw.runtime import log


@click.command()
@pass_context
def run(ctx: Context) -> None:
    """Run the daemon."""
    from smsgw.node import life

    settings = ctx.settings
    faulthandler.enable()  # the watchdog's SIGABRT: what stood still is on standard error
    log.setup(os.environ.get("SMSGW_LOG_LEVEL", "info"), os.environ.get("SMSGW_LOG_FORMAT", "auto"))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(life.run(settings))
    except (RuntimeError, OSError) as exc:
        raise Failed(str(exc)) from exc


@click.command()
@click.option("--dsn", "owner_dsn", default="",
              help="Of the role that owns the tables; [database] owner_dsn or dsn without it.")  # fmt: skip
@pass_context
@run_async
async def migrate(ctx: Context, owner_dsn: str) -> None:
    """Bring the database to this program's schema, and give the role of [database] dsn what it needs."""
    if owner_dsn and not ctx.settings.database.dsn:
        raise Failed("the embedded database has roles of its own: --dsn is for [database] dsn")
    async with ctx.database(owner_dsn=owner_dsn) as database:
        version = await queries.schema(database)
    click.echo(f"schema {version} (this program knows {queries.KNOWN_SCHEMA})")


@click.command()
@pass_context
@run_async
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
    if not server.durable:
        raise Failed("accepted would not mean durable: switch fsync and synchronous_commit on")


@click.command()
@json_option
@pass_context
@run_async
async def status(ctx: Context, as_json: bool) -> None:
    """How the running daemon is doing."""
    answer = await ctx.daemon("GET", "/status")
    if as_json:
        print_json(answer)
        return
    click.echo(
        f"node {answer['node']}, version {answer['version']}: {'ready' if answer['ready'] else 'NOT READY'}"
    )
    for name, value in (answer["checks"] | answer["urls"]).items():
        click.echo(f"  {name:<14} {value}")
    for a in answer["alarms"]:
        click.echo(f"  ALARM {a['severity']:<8} {a['kind']} {a['object']}: {a['detail'] or '-'}")
    print_table(
        answer["channels"],
        ("name", "protocol", "state", "bound", "connections", "window_used", "window", "rate_now", "rate_limit",
         "submitted_today", "reason", "last_error"),
        empty="no channels yet; see: smsgwctl channel add --help",
    )  # fmt: skip
    if answer["partners"]:
        print_table(answer["partners"], BIND_COLUMNS, empty="")

"""smsgwctl: the command line. Each group of commands is a module in ``smsgw/commands``."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click
import uvloop

from smsgw import __version__, app, log
from smsgw.commands import accounts, channels, messages
from smsgw.commands.account import account
from smsgw.commands.alarms import alarm
from smsgw.commands.base import (
    BadConfiguration,
    Context,
    Failed,
    json_option,
    pass_context,
    print_json,
    print_table,
    run_async,
)
from smsgw.commands.bench import bench
from smsgw.commands.content import allow, policy, word
from smsgw.commands.demo import demo
from smsgw.commands.key import key
from smsgw.commands.lists import access_code, block, complaint, setting
from smsgw.commands.manual import manual
from smsgw.commands.numbers import number
from smsgw.commands.numberstatus import number_status
from smsgw.commands.partners import BIND_COLUMNS, partner
from smsgw.commands.pdu import pdu
from smsgw.commands.registry import sign, template
from smsgw.commands.report import report
from smsgw.commands.retry import code, retry
from smsgw.commands.review import review
from smsgw.commands.route import route
from smsgw.commands.simulate import simulate
from smsgw.commands.statistics import stats
from smsgw.commands.task import task
from smsgw.commands.webhook import webhook
from smsgw.store import migrate as migration


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="smsgwctl")
@click.option("--config", "config_path", type=click.Path(path_type=Path, dir_okay=False), envvar="SMSGW_CONFIG",
              help="Configuration file; defaults and SMSGW_… variables without it.")  # fmt: skip
@click.pass_context
def main(ctx: click.Context, config_path: Path | None) -> None:
    """smsgw: a self-hosted SMS gateway and platform."""
    if config_path is not None and not config_path.exists():
        raise BadConfiguration(f"{config_path}: no such file")
    # Standard output belongs to the command's result.
    log.setup(os.environ.get("SMSGW_LOG_LEVEL", "warning"), os.environ.get("SMSGW_LOG_FORMAT", "auto"))
    ctx.obj = Context(config_path)


@main.command()
@pass_context
def run(ctx: Context) -> None:
    """Run the daemon."""
    settings = ctx.settings
    log.setup(os.environ.get("SMSGW_LOG_LEVEL", "info"), os.environ.get("SMSGW_LOG_FORMAT", "auto"))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(app.run(settings))
    except (RuntimeError, OSError) as exc:
        raise Failed(str(exc)) from exc


@main.command()
@pass_context
@run_async
async def migrate(ctx: Context) -> None:
    """Bring the database to this program's schema."""
    async with ctx.database() as database:
        version = await database.fetchval("SELECT version FROM schema_info")
    click.echo(f"schema {version} (this program knows {migration.SCHEMA_VERSION})")


@main.command()
@pass_context
@run_async
async def check(ctx: Context) -> None:
    """Check the configuration and whether the database can be reached; changes nothing else."""
    settings = ctx.settings
    async with ctx.database() as database:
        server = await database.fetchval("SHOW server_version")
        fsync = await database.fetchval("SHOW fsync")
        commit = await database.fetchval("SHOW synchronous_commit")
    where = "external" if settings.database.dsn else f"embedded in {settings.node.data_dir}"
    click.echo(f"configuration  ok ({ctx.config_path or 'defaults'})")
    click.echo(f"database       PostgreSQL {server}, {where}, fsync {fsync}, synchronous_commit {commit}")
    if "off" in (fsync, commit):
        raise Failed("accepted would not mean durable: switch fsync and synchronous_commit on")


@main.command()
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


number.add_command(number_status)
for command in (
    access_code, alarm, allow, block, complaint, policy, review, setting, sign, template, word,
    account, accounts.audit_group, accounts.ledger, accounts.user,
    bench, channels.channel, code, demo, key, manual, messages.cancel, messages.explain, messages.send,
    messages.trace, messages.unknown, number, partner, pdu, report, retry, route, simulate, stats, task,
    webhook,
):  # fmt: skip
    main.add_command(command)


if __name__ == "__main__":
    main()

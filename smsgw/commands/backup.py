"""``smsgwctl backup``: backups of the database, made, listed, and restored for trial."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import click

from smsgw.commands.base import Context, Failed, a_dsn, group, json_option, known, print_json, print_rows
from smsgw.core.actor import Actor
from smsgw.node import database_setup
from smsgw.platform.backups import service
from smsgw.platform.backups.queries import BACKUPS, SCHEMA, Backup
from smsgw.platform.handles import Database
from smsgw.platform.paging import Window

_ALL = Actor.system("backup")
_FOLDER = click.Path(file_okay=False, path_type=Path)


@group()
def backup() -> None:
    """Backups of the database (备份). The key file is not in them: keep a copy of it elsewhere."""


@contextlib.asynccontextmanager
async def _opened(ctx: Context) -> AsyncIterator[Database]:
    """The database, whose schema a backup does not change: the last one before an upgrade is made by either program.
    SIGTERM, and the end of its terminal, let the command clear away what it has begun."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    if task is not None and threading.current_thread() is threading.main_thread():  # others have no signals
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
                loop.add_signal_handler(number, task.cancel)
    try:
        async with ctx.database(as_it_is=SCHEMA) as database:
            yield database
    except asyncio.CancelledError as exc:
        raise Failed("stopped") from exc


def _told(octets: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{octets / 2**20:,.0f} MiB", nl=False, err=True)


@backup.command("make")
@click.argument("folder", type=_FOLDER)
@click.option("--keep", type=click.IntRange(0, 1000), default=0, show_default=True,
              help="Good ones of this machine to keep in the folder; 0: all.")  # fmt: skip
@click.option("--dsn", "owner_dsn", default="", callback=a_dsn,
              help="Of the role that owns the tables; [database] owner_dsn or dsn without it.")  # fmt: skip
@json_option
async def backup_make(ctx: Context, folder: Path, keep: int, owner_dsn: str, as_json: bool) -> None:
    """Make one in FOLDER: a dump of the database as it is at this moment, and a note beside it of how many rows each
    table has. The platform goes on meanwhile."""
    if owner_dsn and not ctx.settings.database.dsn:
        raise Failed("--dsn is for a database of your own; the embedded one needs none")
    async with _opened(ctx) as database:
        made = await service.make(
            ctx.change(database), database_setup.owner_of(ctx.settings, owner_dsn), folder, keep, _told
        )
    if as_json:
        print_json(_line(made))
    else:
        click.echo(f"{made.file} ({made.octets:,} octets, {made.rows:,} rows, sha256 {made.sha256})")
        click.echo(f"Not in it: the key file, {ctx.settings.key_file}. Keep a copy of it elsewhere.", err=True)


@backup.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@json_option
async def backup_list(ctx: Context, limit: int, as_json: bool) -> None:
    """Those that were made, the newest first."""
    async with _opened(ctx) as database:
        found = await BACKUPS.search(database, _ALL, None, Window("begun_at", True, limit=limit))
    lines = [_line(one) for one in found.rows]
    columns = ["id", "begun_at", "state", "octets", "trial", "host", "file", "problem"]
    print_rows(lines, columns, as_json, empty="none")


def _line(one: Backup) -> dict[str, object]:
    return {
        "id": one.id, "begun_at": one.begun_at, "state": one.state, "octets": one.octets, "sha256": one.sha256,
        "rows": one.rows,
        "seconds": one.took.total_seconds() if one.took else None,
        "file": one.file, "host": one.host, "there": one.there,
        "problem": one.problem, "trial": one.trial, "tried_at": one.tried_at, "tried_problem": one.tried_problem,
    }  # fmt: skip


@backup.command("rehearse")
@click.argument("id_", type=click.IntRange(1, 2**63 - 1), metavar="ID")
@click.option("--scratch", type=_FOLDER, default=Path("/var/tmp"), show_default=True,  # noqa: S108 - a new one in it
              help="A folder with room for the whole database, which its server's user can enter.")  # fmt: skip
@json_option
async def backup_rehearse(ctx: Context, id_: int, scratch: Path, as_json: bool) -> None:
    """Restore one of this machine into a server of its own, compare what each table holds, and remove it again.
    Exit 1 when they differ or it cannot be restored. The platform is not touched."""
    async with _opened(ctx) as database:
        with known(f"backup {id_}", "smsgwctl backup list"):
            tried = await service.rehearse(ctx.change(database), id_, scratch)
    if as_json:
        print_json(_line(tried))
    else:
        click.echo(f"{tried.file}: {tried.trial} ({tried.tried_seconds} s)")
    if not tried.tried_well:
        raise Failed(tried.tried_problem)

"""``smsgwctl diagnose``: a diagnostic bundle as a file."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import click

from smsgw.commands.base import Context, Failed, command, what_failed
from smsgw.core.errors import SmsgwError
from smsgw.node import control_client
from smsgw.platform.diagnostics import service
from smsgw.platform.diagnostics.bundle import Bundles, name_of
from smsgw.platform.handles import Database
from smsgw.runtime import clock

PATIENCE, OPENING = 600.0, 60.0


def _write(file: Path, octets: bytes) -> None:
    """A new file, for its owner alone."""
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
        written.write(octets)


async def _without_daemon(ctx: Context) -> bytes:
    settings, keys = ctx.settings, len(ctx.sealer().ids)
    try:
        async with contextlib.AsyncExitStack() as stack:
            async with asyncio.timeout(OPENING):
                database = await stack.enter_async_context(ctx.database(as_it_is=0))  # it is looked at, not migrated
            return await service.take(ctx.change(database), Bundles(database, settings, keys))
    except (SmsgwError, RuntimeError, OSError) as exc:
        click.echo(f"the database is away, and all that is in it is missing: {what_failed(exc)}", err=True)
        away = Database(settings.database.dsn)  # not opened: each part says that it could not be had
        return await Bundles(away, settings, keys).made()


@command()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=None,
              help="The file to write; a new one in the current directory otherwise.")  # fmt: skip
async def diagnose(ctx: Context, out: Path | None) -> None:
    """Write a diagnostic bundle (ZIP): versions, settings, log, metrics, sizes, slow statements, alarms; no secrets,
    numbers masked. Without a running node there are neither log nor metrics in it."""
    settings = ctx.settings
    try:
        pieces = control_client.stream(settings.control_socket, "/diagnostics", {}, timeout_s=PATIENCE)
        octets, node = b"".join([piece async for piece in pieces]), settings.node.number
    except control_client.DaemonAway as exc:
        click.echo(f"{exc}; the bundle has neither its log nor its metrics", err=True)
        octets, node = await _without_daemon(ctx), None
    file = out or Path(name_of(clock.now(), node))
    try:
        await asyncio.to_thread(_write, file, octets)
    except OSError as exc:
        raise Failed(str(exc)) from exc
    click.echo(f"{file} ({len(octets):,} octets)")

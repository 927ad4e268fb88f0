"""``smsgwctl wall``: screens that show the board without a person. They are made on the page, by whom they end with."""

from __future__ import annotations

from dataclasses import asdict

import click

from smsgw.commands.base import Context, group, json_option, print_rows
from smsgw.platform.paging import Window
from smsgw.platform.walls import service
from smsgw.platform.walls.queries import SCREENS


@group()
def wall() -> None:
    """Screens on walls (大屏)."""


@wall.command("list")
@json_option
async def wall_list(ctx: Context, as_json: bool) -> None:
    """Screens, the newest first."""
    async with ctx.database() as database:
        found = await SCREENS.search(database, ctx.change(database).actor, None, Window(limit=200))
    lines = [asdict(one) for one in found.rows]
    columns = ["id", "name", "state", "until", "seen_at", "seen_ip", "made_by"]
    print_rows(lines, columns, as_json, empty="no screens")


@wall.command("end")
@click.argument("id_", metavar="ID", type=int)
async def wall_end(ctx: Context, id_: int) -> None:
    """Let a screen show nothing any more."""
    async with ctx.database() as database:
        await service.end(ctx.change(database), id_)
    click.echo(f"screen {id_} has ended")

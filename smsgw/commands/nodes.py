"""``smsgwctl node``: the nodes that there are and were."""

from __future__ import annotations

from dataclasses import asdict

import click

from smsgw.commands.base import Context, group, json_option, print_rows
from smsgw.platform.nodes import queries, service


@group()
def node() -> None:
    """Nodes (节点)."""


@node.command("list")
@json_option
async def node_list(ctx: Context, as_json: bool) -> None:
    """Nodes with the channels that they own."""
    async with ctx.database() as database:
        found = await queries.listed(database, ctx.change(database).actor)
    lines = [asdict(one) for one in found]
    columns = ["id", "state", "place", "since", "seen_at", "channels", "alarms"]
    print_rows(lines, columns, as_json, empty="no nodes")


@node.command("remove")
@click.argument("number", type=int)
async def node_remove(ctx: Context, number: int) -> None:
    """Say of a node that it will not come back: its alarms are over."""
    async with ctx.database() as database:
        click.echo(f"{await service.remove(ctx.change(database), number)} alarm(s) are over")

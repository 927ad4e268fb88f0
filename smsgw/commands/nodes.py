"""``smsgwctl node``: the nodes that there are and were."""

from __future__ import annotations

from dataclasses import asdict

import click

from smsgw.commands.base import Context, json_option, pass_context, print_json, print_table, run_async
from smsgw.platform.nodes import queries, service


@click.group()
def node() -> None:
    """Nodes (节点)."""


@node.command("list")
@json_option
@pass_context
@run_async
async def node_list(ctx: Context, as_json: bool) -> None:
    """Nodes with the channels that they own."""
    async with ctx.database() as database:
        found = await queries.listed(database, ctx.change(database).actor)
    lines = [asdict(one) for one in found]
    columns = ["id", "state", "place", "since", "seen_at", "channels", "alarms"]
    print_json(lines) if as_json else print_table(lines, columns, empty="no nodes")


@node.command("remove")
@click.argument("number", type=int)
@pass_context
@run_async
async def node_remove(ctx: Context, number: int) -> None:
    """Say of a node that it will not come back: its alarms are over."""
    async with ctx.database() as database:
        click.echo(f"{await service.remove(ctx.change(database), number)} alarm(s) are over")

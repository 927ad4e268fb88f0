"""``smsgwctl kind``: business kinds beside the fixed types."""

from __future__ import annotations

import click

from smsgw.commands.base import Context, group, json_option, known, print_rows
from smsgw.core.kinds import CustomKind
from smsgw.core.model import MessageType
from smsgw.platform.kinds import queries, service


@group()
def kind() -> None:
    """Business kinds (业务类型) beside otp, notice and marketing; their policies: smsgwctl policy set … --type NAME."""


@kind.command("list")
@json_option
async def kind_list(ctx: Context, as_json: bool) -> None:
    """All of them, the fixed ones first."""
    async with ctx.database() as database:
        found = await queries.all_kinds(database)
    lines = [{"name": str(t), "label": "", "base": str(t), "state": "fixed"} for t in MessageType]
    lines += [_line(one) for one in found.values()]
    print_rows(lines, ("name", "label", "base", "state"), as_json, empty="")


def _line(one: CustomKind) -> dict[str, str]:
    return {"name": one.name, "label": one.label, "base": str(one.base), "state": "retired" if one.retired else "used"}


@kind.command("add")
@click.argument("name")
@click.argument("label")
@click.option("--base", type=click.Choice([str(t) for t in MessageType]), required=True,
              help="Decides lane, price and what the law asks.")  # fmt: skip
async def kind_add(ctx: Context, name: str, label: str, base: str) -> str:
    """Make a kind: NAME for programs, for good; LABEL for people."""
    async with ctx.database() as database:
        await service.add(ctx.change(database), name, label, MessageType(base))
    await ctx.tell_daemon()
    return f"{name} is a kind of {base}: {label}"


@kind.command("rename")
@click.argument("name")
@click.argument("label")
async def kind_rename(ctx: Context, name: str, label: str) -> str:
    """Have people read another LABEL."""
    async with ctx.database() as database:
        with known(f"kind {name}", "smsgwctl kind list"):
            await service.rename(ctx.change(database), name, label)
    await ctx.tell_daemon()
    return f"{name} is called {label}"


@kind.command("retire")
@click.argument("name")
async def kind_retire(ctx: Context, name: str) -> str:
    """Send nothing new of it; what was sent is still counted by it."""
    async with ctx.database() as database:
        with known(f"kind {name}", "smsgwctl kind list"):
            await service.retire(ctx.change(database), name)
    await ctx.tell_daemon()
    return f"{name} is retired: nothing new of it is sent"


@kind.command("restore")
@click.argument("name")
async def kind_restore(ctx: Context, name: str) -> str:
    """Use a retired one again."""
    async with ctx.database() as database:
        with known(f"kind {name}", "smsgwctl kind list"):
            await service.restore(ctx.change(database), name)
    await ctx.tell_daemon()
    return f"{name} is in use again"

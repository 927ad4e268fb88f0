"""``smsgwctl sign`` and ``smsgwctl template``: applied for, reviewed, registered with the carriers."""

from __future__ import annotations

from datetime import datetime
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
from smsgw.commands.content import TYPES, account_id_of
from smsgw.core.ids import CHINA
from smsgw.core.templates import CARRIERS, DEFAULT_LENGTH, Form, Registration, Review, Variable
from smsgw.platform.content import queries, service
from smsgw.platform.content.model import SIGN, TEMPLATE, Entry


@click.group()
def sign() -> None:
    """Signatures (签名) of accounts, and where they are registered (报备)."""


@click.group()
def template() -> None:
    """Templates (模板) of accounts."""


@sign.command("add")
@click.argument("text", metavar="SIGN")
@click.option("--account", required=True)
@click.option("--source", default="", help="What entitles to it: company, brand, app …")
@click.option("--note", default="")
@click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), default=None)
@json_option
@pass_context
@run_async
async def sign_add(
    ctx: Context, text: str, account: str, source: str, note: str, expires: datetime | None, as_json: bool
) -> None:
    """Apply for a signature."""
    until = expires.replace(tzinfo=CHINA) if expires else None
    async with ctx.database() as database:
        owner = await account_id_of(database, account)
        id_ = await service.add_sign(
            ctx.change(database), owner, text, source=source, note=note, expires_at=until
        )
    await ctx.tell_daemon()
    _made(id_, as_json, "sign")


@template.command("add")
@click.argument("name")
@click.argument("content")
@click.option("--account", required=True)
@click.option("--type", "kind", type=TYPES, default="notice", show_default=True)
@click.option("--sign", "sign_", default="", help="Always with this signature.")
@click.option(
    "--variable", "variables", multiple=True, metavar="NAME:FORM[:MOST]",
    help=f"Form of a variable ({', '.join(Form)}) and how long it may be; repeat it. Text without.",
)  # fmt: skip
@json_option
@pass_context
@run_async
async def template_add(
    ctx: Context, name: str, content: str, account: str, kind: str, sign_: str, variables: tuple[str, ...],
    as_json: bool,
) -> None:  # fmt: skip
    """Apply for a template; variables are written {name}."""
    given = {}
    for text in variables:
        called, form, most, *_ = [*text.split(":"), "", ""]
        if form not in list(Form) or not (most.isdigit() or not most):
            raise Failed(f"--variable {text}: NAME:FORM[:MOST], FORM one of {', '.join(Form)}")
        given[called] = Variable(Form(form), int(most or DEFAULT_LENGTH[Form(form)]))
    async with ctx.database() as database:
        owner = await account_id_of(database, account)
        id_ = await service.add_template(
            ctx.change(database), owner, name, kind, content, given, sign=sign_
        )
    await ctx.tell_daemon()
    _made(id_, as_json, "template")


def _made(id_: int, as_json: bool, what: str) -> None:
    if as_json:
        print_json({"id": str(id_)})
    else:
        click.echo(f"{what} {id_}: pending; next: smsgwctl {what} approve {id_}")


def _line(entry: Entry) -> dict[str, Any]:
    row = dict(entry.row)
    row |= {"id": str(row["id"]), "carriers": {c: s["state"] for c, s in entry.carriers.items()}}
    return row | {"registered": [c for c, s in entry.carriers.items() if s["state"] == "registered"]}


def _commands(group: click.Group, kind: str, columns: tuple[str, ...]) -> None:
    """What signatures and templates have alike."""

    @group.command("list")
    @click.option("--account", default="")
    @click.option("--state", type=click.Choice([str(x) for x in Review]), default=None)
    @click.option("--limit", type=click.IntRange(1, 100_000), default=200, show_default=True)
    @json_option
    @pass_context
    @run_async
    async def list_(ctx: Context, account: str, state: str | None, limit: int, as_json: bool) -> None:
        """The newest, and how they stand."""
        async with ctx.database() as database:
            seen = [await account_id_of(database, account)] if account else None
            found = await queries.page(database, kind, accounts=seen, state=state or "", limit=limit)
        lines = [_line(e) for e in found]
        if as_json:
            print_json(lines)
        else:
            print_table(lines, columns, empty=f"no {kind}s")

    @group.command("show")
    @click.argument("id_", metavar="ID", type=int)
    @json_option
    @pass_context
    @run_async
    async def show(ctx: Context, id_: int, as_json: bool) -> None:
        """Everything about one."""
        async with ctx.database() as database:
            line = _line(await queries.get(database, kind, id_, accounts=None))
        if as_json:
            print_json(line)
        else:
            for name, value in line.items():
                click.echo(f"{name:<12} {value}")

    async def decide(ctx: Context, id_: int, state: Review, reason: str) -> None:
        async with ctx.database() as database:
            await service.review(ctx.change(database), kind, id_, state, reason=reason)
        await ctx.tell_daemon()
        click.echo(f"{kind} {id_}: {state.value}")

    @group.command("approve")
    @click.argument("id_", metavar="ID", type=int)
    @pass_context
    @run_async
    async def approve(ctx: Context, id_: int) -> None:
        """It may be used."""
        await decide(ctx, id_, Review.APPROVED, "")

    @group.command("refuse")
    @click.argument("id_", metavar="ID", type=int)
    @click.argument("reason")
    @pass_context
    @run_async
    async def refuse(ctx: Context, id_: int, reason: str) -> None:
        """It may not be used, and why."""
        await decide(ctx, id_, Review.REFUSED, reason)

    @group.command("register")
    @click.argument("id_", metavar="ID", type=int)
    @click.argument("state", type=click.Choice([str(x) for x in Registration]))
    @click.option("--carrier", "carriers", multiple=True, type=click.Choice(CARRIERS), help="Repeat it; all without.")
    @click.option("--note", default="", help="What the carrier says.")
    @pass_context
    @run_async
    async def register(ctx: Context, id_: int, state: str, carriers: tuple[str, ...], note: str) -> None:
        """What carriers say of it (报备)."""
        async with ctx.database() as database:
            change = ctx.change(database)
            await service.register(change, kind, id_, carriers or CARRIERS, Registration(state), note=note)
        await ctx.tell_daemon()
        click.echo(f"{kind} {id_}: {state} with {', '.join(carriers or CARRIERS)}")


_commands(sign, SIGN, ("id", "sign", "account", "state", "registered", "expires_at", "reason"))
_commands(template, TEMPLATE, ("id", "name", "account", "type", "state", "registered", "content", "reason"))

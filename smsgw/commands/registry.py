"""``smsgwctl sign`` and ``smsgwctl template``: applied for, reviewed, registered with the carriers."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import click

from smsgw.commands.base import Context, Failed, When, group, json_option, print_json, print_rows, print_table
from smsgw.commands.content import TYPES, account_id_of
from smsgw.core.ids import CHINA
from smsgw.core.templates import CARRIERS, DEFAULT_LENGTH, Form, Registration, Review, Variable
from smsgw.node import control_client
from smsgw.platform.content import matrix, proofs, queries, service
from smsgw.platform.content.model import SIGN, TEMPLATE, Answer, Entry, WantedCells, seen_of
from smsgw.platform.paging import Window

_DAY = When(["%Y-%m-%d"])
PATIENCE = 900.0


@group()
def sign() -> None:
    """Signatures (签名) of accounts, and where they are registered (报备)."""


@group()
def template() -> None:
    """Templates (模板) of accounts."""


@sign.command("add")
@click.argument("text", metavar="SIGN")
@click.option("--account", required=True)
@click.option("--source", default="", help="What entitles to it: company, brand, app …")
@click.option("--note", default="")
@click.option("--expires", type=_DAY, default=None, help="Last day on which it holds.")
@json_option
async def sign_add(
    ctx: Context, text: str, account: str, source: str, note: str, expires: datetime | None, as_json: bool
) -> None:
    """Apply for a signature."""
    until = expires.replace(tzinfo=CHINA) + timedelta(days=1) if expires else None
    async with ctx.database() as database:
        owner = await account_id_of(database, account)
        id_ = await service.add_sign(ctx.change(database), owner, text, source=source, note=note, expires_at=until)
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
async def template_add(
    ctx: Context, name: str, content: str, account: str, kind: str, sign_: str, variables: tuple[str, ...],
    as_json: bool,
) -> None:  # fmt: skip
    """Apply for a template; variables are written {name}."""
    given = {}
    for text in variables:
        called, form, most, *_ = [*text.split(":"), "", ""]
        if form not in list(Form) or not re.fullmatch("[0-9]{0,9}", most):
            raise Failed(f"--variable {text}: NAME:FORM[:MOST], FORM one of {', '.join(Form)}")
        given[called] = Variable(Form(form), int(most or DEFAULT_LENGTH[Form(form)]))
    async with ctx.database() as database:
        owner = await account_id_of(database, account)
        id_ = await service.add_template(ctx.change(database), owner, name, kind, content, given, sign=sign_)
    await ctx.tell_daemon()
    _made(id_, as_json, "template")


def _made(id_: int, as_json: bool, what: str) -> None:
    if as_json:
        print_json({"id": str(id_)})
    else:
        click.echo(f"{what} {id_}: pending; next: smsgwctl {what} approve {id_}")


def _line(entry: Entry) -> dict[str, Any]:
    row = dict(entry.row)
    row |= {"id": str(row["id"]), "carriers": {c: said.state.value for c, said in entry.carriers.items()}}
    return row | {"registered": [c for c, said in entry.carriers.items() if said.state is Registration.REGISTERED]}


def _commands(group: click.Group, kind: str, columns: tuple[str, ...]) -> None:
    """What signatures and templates have alike."""

    @group.command("list")
    @click.option("--account", default="")
    @click.option("--state", type=click.Choice([str(x) for x in Review]), default=None)
    @click.option("--limit", type=click.IntRange(1, 100_000), default=200, show_default=True)
    @json_option
    async def list_(ctx: Context, account: str, state: str | None, limit: int, as_json: bool) -> None:
        """The newest, and how they stand."""
        async with ctx.database() as database:
            seen = [await account_id_of(database, account)] if account else None
            found = await queries.page(database, kind, accounts=seen, state=state or "", limit=limit)
        lines = [_line(e) for e in found]
        print_rows(lines, columns, as_json, empty=f"no {kind}s")

    @group.command("show")
    @click.argument("id_", metavar="ID", type=int)
    @json_option
    async def show(ctx: Context, id_: int, as_json: bool) -> None:
        """Everything about one."""
        async with ctx.database() as database:
            entry = await queries.get(database, kind, id_, accounts=None)
        line = _line(entry) | {"seen": seen_of(kind, entry.row)}
        if as_json:
            print_json(line)
        else:
            for name, value in line.items():
                click.echo(f"{name:<12} {value}")

    async def decide(ctx: Context, id_: int, state: Review, reason: str, seen: str | None) -> None:
        async with ctx.database() as database:
            await service.review(ctx.change(database), kind, id_, state, reason=reason, seen=seen)
        await ctx.tell_daemon()
        click.echo(f"{kind} {id_}: {state.value}")

    as_seen = click.option("--seen", help="What `show` said of it under that name: nothing is done if it was changed.")

    @group.command("approve")
    @click.argument("id_", metavar="ID", type=int)
    @as_seen
    async def approve(ctx: Context, id_: int, seen: str | None) -> None:
        """It may be used."""
        await decide(ctx, id_, Review.APPROVED, "", seen)

    @group.command("refuse")
    @click.argument("id_", metavar="ID", type=int)
    @click.argument("reason")
    @as_seen
    async def refuse(ctx: Context, id_: int, reason: str, seen: str | None) -> None:
        """It may not be used, and why."""
        await decide(ctx, id_, Review.REFUSED, reason, seen)

    @group.command("register")
    @click.argument("id_", metavar="ID", type=int)
    @click.argument("state", type=click.Choice([str(x) for x in Registration if x is not Registration.EXPIRED]))
    @click.option("--carrier", "carriers", multiple=True, type=click.Choice(CARRIERS), help="Repeat it; all without.")
    @click.option("--note", default="", help="What the carrier says.")
    @click.option("--code", default="", help="Its number with the carrier.")
    @click.option("--on", type=_DAY, default=None, help="Day of the answer.")
    @click.option("--until", type=_DAY, default=None, help="Last day on which a signature is registered.")
    async def register(
        ctx: Context, id_: int, state: str, carriers: tuple[str, ...], note: str, code: str, on: datetime | None,
        until: datetime | None,
    ) -> None:  # fmt: skip
        """What carriers say of it (报备)."""
        ends = until.replace(tzinfo=CHINA) + timedelta(days=1) if until else None
        answer = Answer(Registration(state), note, code, on.date() if on else None, ends)
        async with ctx.database() as database:
            await service.register(ctx.change(database), kind, id_, carriers or CARRIERS, answer)
        await ctx.tell_daemon()
        click.echo(f"{kind} {id_}: {state} with {', '.join(carriers or CARRIERS)}")


@sign.command("matrix")
@click.option("--account", default="")
@click.option("--carrier", type=click.Choice(CARRIERS), default=None)
@click.option("--state", type=click.Choice([str(x) for x in Registration]), default=None)
@click.option("--within", type=click.IntRange(0, 3650), default=None, help="Registered, and over within so many days.")
@click.option("--limit", type=click.IntRange(1, 1000), default=200, show_default=True)
@json_option
async def sign_matrix(
    ctx: Context, account: str, carrier: str | None, state: str | None, within: int | None, limit: int, as_json: bool
) -> None:
    """How each signature stands with each carrier, with its number and its end."""
    async with ctx.database() as database:
        whose = await account_id_of(database, account) or None
        wanted = WantedCells(None, "", whose, carrier or "", state or "", "", within)
        found = (await matrix.search(database, wanted, Window("name", False, limit=limit), accounts=None)).rows
    lines = [
        {"id": str(one.sign_id), "sign": one.name, "account": one.account, "carrier": one.carrier, "state": one.state,
         "code": one.code, "answered_on": one.answered_on and str(one.answered_on), "expires_at": one.expires_at,
         "documents": one.proofs, "note": one.note}
        for one in found
    ]  # fmt: skip
    if as_json:
        print_json(lines)
    else:
        columns = ("id", "sign", "account", "carrier", "state", "code", "answered_on", "expires_at", "documents")
        print_table(lines, columns, empty="no such registrations")


@sign.command("proofs")
@click.argument("id_", metavar="ID", type=int)
@json_option
async def sign_proofs(ctx: Context, id_: int, as_json: bool) -> None:
    """The documents of a signature."""
    async with ctx.database() as database:
        found = await proofs.DOCUMENTS.of(database, id_, accounts=None)
    lines = [
        {"id": str(one.id), "kind": one.kind, "carrier": one.carrier, "name": one.name, "size": one.size,
         "added_by": one.added_by, "added_at": one.added_at}
        for one in found
    ]  # fmt: skip
    print_rows(lines, ("id", "kind", "carrier", "name", "size", "added_by", "added_at"), as_json, empty="no documents")


@sign.command("prove")
@click.argument("id_", metavar="ID", type=int)
@click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, resolve_path=True))
@click.option("--kind", type=click.Choice([str(x) for x in proofs.Kind]), required=True)
@click.option("--carrier", type=click.Choice(CARRIERS), default=None, help="It is meant for this carrier alone.")
async def sign_prove(ctx: Context, id_: int, path: str, kind: str, carrier: str | None) -> None:
    """Bring a document (a picture or PDF) of a signature, through the running daemon."""
    body = {"sign": id_, "file": path, "kind": kind, "carrier": carrier or ""}
    made = await control_client.call(ctx.settings.control_socket, "POST", "/signs/proofs", body, timeout_s=PATIENCE)
    click.echo(f"document {made['proof']} of signature {id_}")


@sign.command("unprove")
@click.argument("id_", metavar="DOCUMENT", type=int)
async def sign_unprove(ctx: Context, id_: int) -> None:
    """Take a document away."""
    async with ctx.database() as database:
        await proofs.DOCUMENTS.remove(ctx.change(database), id_)
    click.echo(f"document {id_} taken away")


_commands(sign, SIGN, ("id", "sign", "account", "state", "registered", "expires_at", "reason"))
_commands(template, TEMPLATE, ("id", "name", "account", "type", "state", "registered", "content", "reason"))

"""``smsgwctl link``: domains and targets filed with the carriers (链接报备)."""

from __future__ import annotations

from typing import Any

import click

from smsgw.commands.base import Context, group, json_option, print_json, print_rows, print_table
from smsgw.commands.content import account_id_of
from smsgw.core.templates import CARRIERS
from smsgw.core.url_filings import FILING_NAMES, Filing, found_in
from smsgw.core.words import phrase
from smsgw.platform.url_filings import queries, service
from smsgw.platform.url_filings.model import FiledLink

_COLUMNS = ("id", "target", "account", "icp", "CMCC", "CUCC", "CTCC", "CBN", "note")


@group()
def link() -> None:
    """Links in marketing (链接报备): with the policy filed_links, those that a carrier has not on file are refused."""


def _line(one: FiledLink) -> dict[str, Any]:
    said = {carrier: str(FILING_NAMES[says.state]) for carrier, says in one.carriers.items()}
    return {"id": str(one.id), "target": one.target, "account": one.account, "icp": one.icp, "note": one.note} | said


def _json(one: FiledLink) -> dict[str, object]:
    return {
        "id": str(one.id), "target": one.target, "account": one.account, "icp": one.icp, "note": one.note,
        "created_at": one.created_at,
        "carriers": {c: {"state": s.state.value, "note": s.note} for c, s in one.carriers.items()},
    }  # fmt: skip


@link.command("file")
@click.argument("target")
@click.option("--account", default="", help="Only for this account and those below it.")
@click.option("--icp", default="", help=str(phrase("help.icp")))
@click.option("--note", default="", help="What it shows, and what proves it.")
@json_option
async def link_file(ctx: Context, target: str, account: str, icp: str, note: str, as_json: bool) -> None:
    """File a domain (with all below it) or the beginning of a link (t.cn/abc); once more after a refusal."""
    async with ctx.database() as database:
        owner = await account_id_of(database, account)
        filed = await service.file(ctx.change(database), owner, target, icp=icp, note=note)
    await ctx.tell_daemon()
    if as_json:
        print_json(_json(filed))
    else:
        click.echo(f"link {filed.id}: {filed.target}; next: smsgwctl link set {filed.id} registered --carrier CMCC")


@link.command("set")
@click.argument("id_", metavar="ID", type=int)
@click.argument("state", type=click.Choice([str(s) for s in Filing]))
@click.option("--carrier", "carriers", type=click.Choice(CARRIERS), multiple=True, help="Repeat it; all without.")
@click.option("--note", default="", help="What the carrier said.")
async def link_set(ctx: Context, id_: int, state: str, carriers: tuple[str, ...], note: str) -> None:
    """How a filing stands with carriers: pending 待报备, submitted 报备中, registered 通过, refused 驳回."""
    async with ctx.database() as database:
        filed = await service.set_state(ctx.change(database), id_, Filing(state), carriers, note=note)
    await ctx.tell_daemon()
    click.echo(f"link {filed.id}: " + ", ".join(f"{c} {s.state.value}" for c, s in filed.carriers.items()))


@link.command("list")
@click.option("--account", default="")
@click.option("--limit", type=click.IntRange(1, 100_000), default=200, show_default=True)
@json_option
async def link_list(ctx: Context, account: str, limit: int, as_json: bool) -> None:
    """The newest filings, and how they stand."""
    async with ctx.database() as database:
        seen = [await account_id_of(database, account)] if account else None
        found = await queries.page(database, accounts=seen, limit=limit)
    if as_json:
        print_json([_json(one) for one in found])
    else:
        print_table([_line(one) for one in found], _COLUMNS, empty="nothing is filed")


@link.command("remove")
@click.argument("id_", metavar="ID", type=int)
async def link_remove(ctx: Context, id_: int) -> None:
    """Take back a filing."""
    async with ctx.database() as database:
        await service.remove(ctx.change(database), id_)
    await ctx.tell_daemon()
    click.echo(f"link {id_} removed")


@link.command("test")
@click.argument("text")
@click.option("--account", default="", help="As this account sends it.")
@json_option
async def link_test(ctx: Context, text: str, account: str, as_json: bool) -> None:
    """Which links are found in a text, and which carriers have them on file."""
    async with ctx.database() as database:
        owner = await account_id_of(database, account)
        book = await queries.book(database)
    lines = [
        {"link": one.text, "host": one.host, "path": one.path,
         "registered": [c for c in CARRIERS if book.filed(one, (owner,), (c,))]}
        for one in found_in(text)
    ]  # fmt: skip
    print_rows(lines, ("link", "host", "path", "registered"), as_json, empty="no link")

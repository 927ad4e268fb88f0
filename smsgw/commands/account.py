"""``smsgwctl account``: who may send, what it costs, and how much."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import click

from smsgw.commands.base import Context, Failed, When, group, json_option, print_json, print_table
from smsgw.core.accounts import FIELDS, subtree
from smsgw.core.errors import Invalid
from smsgw.core.ids import CHINA
from smsgw.core.words import phrase
from smsgw.platform.accounts import prices, queries, service, training
from smsgw.platform.accounts.model import USAGE_DIMENSIONS, AccountView
from smsgw.platform.handles import Database
from smsgw.runtime import clock


@group()
def account() -> None:
    """Sending accounts (短信账号)."""


_OPTIONS: tuple[tuple[str, str, str], ...] = (
    # option, field, help
    ("--display-name", "display_name", "Name for people."),
    ("--parent", "parent", "Account above: it counts in its quotas and stops with it."),
    ("--department", "department", "Department, for reports."),
    ("--sign", "default_sign", "Signature put in front of texts that have none."),
    ("--extend-code", "extend_code", "Digits behind the access code; replies to them come to this account."),
    ("--protocols", "protocols", "Interfaces it may use, of http,smpp,cmpp; all without this."),
    ("--ip", "ip_allow", "Addresses and networks its systems may come from, separated by commas."),
    ("--webhook-networks", "webhook_networks", "Networks that are not public, where its webhooks may be."),
    ("--unit-price", "unit_price", "Yuan for a unit, for statements."),
    ("--quota-day", "quota_day", "Parts a day, all accounts below included."),
    ("--quota-month", "quota_month", "Parts a month, all accounts below included."),
    ("--rate", "rate", "Messages per second; 2000 without this."),
    ("--starts-on", "starts_on", "First day of the contract, as 2026-01-01."),
    ("--ends-on", "ends_on", "Last day of the contract."),
)


def _field_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option, field, text in reversed(_OPTIONS):
        function = click.option(option, field, default=None, help=text)(function)
    return function


@account.command("add")
@click.argument("name")
@_field_options
@click.option("--no-sign", is_flag=True, help="Texts need no signature (the carrier adds it).")
@click.option("--units", type=click.IntRange(0, 1000), help="Units that one part costs, of every type; 1 without this.")
@click.option("--credit", type=click.IntRange(min=0), default=0, help="Postpaid: units the balance may go below zero.")
@click.option("--balance", type=click.IntRange(min=0), default=0, help="Units to begin with.")
@json_option
async def account_add(
    ctx: Context, name: str, no_sign: bool, units: int | None, credit: int, balance: int, as_json: bool,
    **options: str | None,
) -> None:  # fmt: skip
    """Make an account. What has no option here is set with `account set`."""
    fields: dict[str, Any] = {field: value for field, value in options.items() if value is not None}
    fields |= {"sign_required": not no_sign, "credit_floor": -credit}
    if units is not None:
        fields |= dict.fromkeys(("units_otp", "units_notice", "units_marketing"), units)
    async with ctx.database() as database:
        change = ctx.change(database)
        account_id = await service.add(change, name, **fields)
        if balance:
            await service.top_up(change, account_id, balance, "opening balance")
    await ctx.tell_daemon()
    if as_json:
        print_json({"id": account_id, "name": name})
    else:
        click.echo(f"account {name} made (id {account_id}); give it a key with: smsgwctl key add {name}")


def _line(row: AccountView, names: dict[int, str]) -> dict[str, Any]:
    line = asdict(row.account) | {
        "parent": names.get(row.account.parent_id or 0, ""),
        "billing": "postpaid" if row.account.credit_floor < 0 else "prepaid",
        "balance": row.balance,
        "available": row.balance - row.account.credit_floor,
        "created_at": row.created_at,
        "protocols": sorted(row.account.protocols),
        "ip_allow": [str(network) for network in row.account.ip_allow],
        "webhook_networks": [str(network) for network in row.account.webhook_networks],
        "unit_price": str(row.account.unit_price),
        "above": [names[above] for above in row.account.above],
    }
    for internal in ("guards", "department_id", "departments"):
        del line[internal]
    return line


async def _lines(ctx: Context) -> list[dict[str, Any]]:
    async with ctx.database() as database:
        rows = await queries.accounts(database)
    names = {row.account.id: row.account.name for row in rows}
    return [_line(row, names) for row in rows]


@account.command("list")
@json_option
async def account_list(ctx: Context, as_json: bool) -> None:
    """All accounts."""
    lines = await _lines(ctx)
    if as_json:
        print_json(lines)
    else:
        print_table(
            [line | {"status": _standing(line)} for line in lines],
            ("name", "display_name", "parent", "department", "status", "balance", "credit_floor", "default_sign",
             "extend_code"),
            empty=str(phrase("account.empty")),
        )  # fmt: skip


def _standing(line: dict[str, Any]) -> str:
    return "stopped above" if line["halted"] and line["status"] == "active" else str(line["status"])


@account.command("show")
@click.argument("name")
@json_option
async def account_show(ctx: Context, name: str, as_json: bool) -> None:
    """Everything about an account, and what it has used of its quotas."""
    line = next((line for line in await _lines(ctx) if line["name"] == name), None)
    if line is None:
        raise Failed(f"no account {name}; see: smsgwctl account list")
    async with ctx.database() as database:
        used = await queries.quota_used(database, line["id"])
        priced = [asdict(one) | {"price": str(one.price)} for one in await prices.history(database, line["id"])]
    line |= {"used_day": used[0], "used_month": used[1], "prices": priced}
    if as_json:
        print_json(line)
    else:
        line["prices"] = [f"{one['price']} since {one['since'] or 'the beginning'}" for one in priced]
        width = max(map(len, line))
        for field, value in (line | {"status": _standing(line)}).items():
            shown = ", ".join(value) if isinstance(value, list) else "-" if value in (None, "") else value
            click.echo(f"{field:{width}}  {shown}")


_DAY = When(["%Y-%m-%d"])


@account.command("usage")
@click.argument("name")
@click.option("--by", "group", default="day", help=f"Comma-separated: {', '.join(USAGE_DIMENSIONS)}.")
@click.option("--from", "first", type=_DAY, help="First day; 7 days are shown without one.")
@click.option("--to", "last", type=_DAY, help="Last day; today without one.")
@click.option("--below", is_flag=True, help="Also the accounts below.")
@json_option
async def account_usage(
    ctx: Context, name: str, group: str, first: datetime | None, last: datetime | None, below: bool, as_json: bool
) -> None:
    """What an account has used: messages, parts, units, refunds, yuan at the prices of the debits."""
    to = last.date() if last else clock.now().astimezone(CHINA).date()
    async with ctx.database() as database:
        found = await account_id(database, name)
        tree = (row.account for row in await queries.accounts(database))
        lines = await queries.usage(
            database, first=first.date() if first else to - timedelta(days=6), last=to, group=group.split(","),
            accounts=sorted(subtree(tree, found)) if below else [found],
        )  # fmt: skip
    rows = [{k: str(v) for k, v in line.keys.items()} | asdict(line) | {"amount": str(line.amount)} for line in lines]
    for row in rows:
        del row["keys"]
    if as_json:
        print_json(rows)
    else:
        columns = (*dict.fromkeys(group.split(",")), "messages", "parts", "units", "refunded", "amount")
        print_table(rows, columns, empty="nothing used in these days")


@account.command("tree")
@json_option
async def account_tree(ctx: Context, as_json: bool) -> None:
    """The accounts as a tree."""
    lines = await _lines(ctx)
    below: dict[int | None, list[dict[str, Any]]] = {}
    for line in lines:
        below.setdefault(line["parent_id"], []).append(line)

    def branch(line: dict[str, Any]) -> dict[str, Any]:
        shown = {k: line[k] for k in ("name", "display_name", "department", "status", "halted", "balance")}
        return shown | {"below": [branch(child) for child in below.get(line["id"], ())]}

    def draw(line: dict[str, Any], depth: int) -> None:
        about = " · ".join(t for t in (line["display_name"], line["department"]) if t)
        state = "" if _standing(line) == "active" else f"  [{_standing(line)}]"
        click.echo(f"{'  ' * depth}{line['name']}{'  ' + about if about else ''}  {line['balance']}{state}")
        for child in below.get(line["id"], ()):
            draw(child, depth + 1)

    if as_json:
        print_json([branch(line) for line in below.get(None, ())])
        return
    for line in below.get(None, ()):
        draw(line, 0)


@account.command("set", help=f"Change fields of an account: {', '.join(FIELDS)}. An empty value takes a limit away.")
@click.argument("name")
@click.argument("changes", nargs=-1, required=True, metavar="FIELD=VALUE...")
async def account_set(ctx: Context, name: str, changes: tuple[str, ...]) -> str:
    """Change fields of an account."""
    fields = {}
    for change in changes:
        field, equals, value = change.partition("=")
        if not equals:
            raise click.BadParameter(f"{change}: FIELD=VALUE is wanted", param_hint="CHANGES")
        fields[field] = value
    async with ctx.database() as database:
        await service.edit(ctx.change(database), await queries.id_of(database, name), fields)
    await ctx.tell_daemon()
    return f"{name}: {', '.join(fields)} changed"


async def _set_status(ctx: Context, name: str, status: str) -> None:
    async with ctx.database() as database:
        await service.set_status(ctx.change(database), await queries.id_of(database, name), status)
    await ctx.tell_daemon()
    click.echo(f"account {name} is {status}")


@account.command("stop")
@click.argument("name")
async def account_stop(ctx: Context, name: str) -> None:
    """Refuse new messages of an account and all below it, and hold what they have queued."""
    await _set_status(ctx, name, "stopped")


@account.command("start")
@click.argument("name")
async def account_start(ctx: Context, name: str) -> None:
    """Accept messages of an account again (unless one above it is stopped), and send what was held."""
    await _set_status(ctx, name, "active")


@account.command("topup", context_settings={"ignore_unknown_options": True})  # a negative number is no option
@click.argument("name")
@click.argument("units", type=int)
@click.option("--note", default="", help="Why.")
async def account_topup(ctx: Context, name: str, units: int, note: str) -> None:
    """Add units to an account; a negative number takes away."""
    async with ctx.database() as database:
        found = await account_id(database, name)
        new = await service.top_up(ctx.change(database), found, units, note)
    click.echo(f"balance of {name}: {new}")


async def account_id(database: Database, name: str) -> int:
    """The account that a command names."""
    try:
        return await queries.id_of(database, name)
    except Invalid as exc:
        raise Failed(f"no account {name}; see: smsgwctl account list") from exc


@account.command("training")
@click.argument("name")
@click.option("--on/--off", default=True, help="Begin or end it.")
@click.option("--reason", required=True, help="Why; kept in the audit log.")
async def account_training(ctx: Context, name: str, on: bool, reason: str) -> str:
    """Training mode (演练): all that the account sends goes to the simulated carrier, free and counted nowhere.

    The account has to be stopped, and nothing of it may be under way.
    """
    async with ctx.database() as database:
        await training.switch(ctx.change(database), await queries.id_of(database, name), on=on, reason=reason)
    await ctx.tell_daemon()
    if on:
        return f"{name} is in training: nothing goes to a carrier"
    return f"{name} is out of training; smsgwctl account start {name} lets it send"

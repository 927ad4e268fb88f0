"""``smsgwctl partner``."""

from __future__ import annotations

import ipaddress
import re
from contextlib import AbstractContextManager
from typing import Any

import click

from smsgw.commands.base import (
    Context,
    Failed,
    ask_password,
    group,
    json_option,
    known,
    password_options,
    print_json,
    print_table,
)
from smsgw.core.errors import Invalid
from smsgw.core.partners import PROTOCOLS
from smsgw.platform.accounts.queries import id_of
from smsgw.platform.partners import queries, service

BIND_COLUMNS = (
    "protocol", "user", "account", "version", "mode", "ip", "submits", "refused", "unanswered", "deliveries", "window",
    "delivered", "last_error",
)  # fmt: skip
"""Of the table of binds in ``smsgwctl status``."""


@group()
def partner() -> None:
    """Logins of accounts for SMPP and CMPP (下游客户接入)."""


def _known(user: str) -> AbstractContextManager[None]:
    return known(f"partner {user}", "smsgwctl partner list")


_protocol = click.option("--protocol", type=click.Choice(PROTOCOLS), help="Needed when both have the name.")


def _options(function: Any) -> Any:
    for option in reversed(
        (
            click.option("--max-binds", type=click.IntRange(1, 1000), help="Binds at a time; 4."),
            click.option("--window", type=click.IntRange(1, 1000), help="Unanswered requests on a bind, each way; 64."),
            click.option("--rate", help="Destinations per second, N or N/s; 0 (as without) is unlimited."),
            click.option("--ip", "ip_allow", multiple=True, help="Address or network it may come from; repeatable."),
            click.option("--type", type=click.Choice(("otp", "notice", "marketing")), help="Of its messages; notice."),
            click.option("--code", help="The number it sends from and is replied to; behind it come extensions."),
            click.option("--any-source/--check-source", default=None, help="Do not look at source addresses."),
            click.option(
                "--any-clock/--check-clock",
                default=None,
                help="CMPP: do not look at the time in CONNECT. Whoever has seen one can use it again.",
            ),
            click.option(
                "--alphabet", type=click.Choice(("gsm7", "ascii", "latin1", "ucs2")), help="SMPP data_coding 0; gsm7."
            ),
            click.option("--message-ids", type=click.Choice(("decimal", "hex")), help="SMPP message ids; decimal."),
            click.option(
                "--long-mo", type=click.Choice(("udh", "payload")), help="Long messages from phones over SMPP; udh."
            ),
        )
    ):
        function = option(function)
    return function


def _fields(given: dict[str, Any]) -> dict[str, Any]:
    fields = {key: value for key, value in given.items() if value is not None and value != ()}
    if "rate" in fields:
        digits = fields["rate"].removesuffix("/s")
        if not re.fullmatch("[0-9]{1,9}", digits):
            raise click.BadParameter(f"{fields['rate']}: give a number such as 100 or 100/s", param_hint="--rate")
        fields["rate"] = int(digits)
    if "ip_allow" in fields:
        try:
            fields["ip_allow"] = [ipaddress.ip_network(n, strict=False) for n in fields["ip_allow"] if n != "any"]
        except ValueError as exc:
            raise click.BadParameter(str(exc), param_hint="--ip") from exc
    return fields


@partner.command("add")
@click.argument("account")
@click.option("--protocol", type=click.Choice(PROTOCOLS), required=True)
@click.option("--user", "username", required=True, help="SMPP system_id (15 characters), CMPP Source_Addr (6).")
@password_options
@_options
@json_option
async def partner_add(
    ctx: Context, account: str, protocol: str, username: str, password: str | None, as_json: bool, **given: Any
) -> None:
    """Make a login; it can be used at once."""
    fields = _fields(given)
    if password is None:
        password = ask_password()
    sealer = ctx.sealer()
    async with ctx.database() as database:
        try:
            account_id = await id_of(database, account)
        except Invalid as exc:
            raise Failed(f"no account {account}") from exc
        partner_id = await service.add(ctx.change(database), sealer, account_id, protocol, username, password, fields)
    await ctx.tell_daemon()
    if as_json:
        print_json({"id": partner_id, "account": account, "protocol": protocol, "user": username})
    else:
        click.echo(f"{protocol} login {username} made for account {account}")


@partner.command("set")
@click.argument("user")
@_protocol
@password_options
@_options
@click.option("--stop/--start", "stopped", default=None, help="Refuse it, and end its binds; or let it in again.")
async def partner_set(
    ctx: Context, user: str, protocol: str | None, password: str | None, stopped: bool | None, **given: Any
) -> str:
    """Change a login; most of it takes effect without a new bind. ``--ip any`` lets it come from anywhere."""
    fields = _fields(given)
    if stopped is not None:
        fields["status"] = "stopped" if stopped else "active"
    if not fields and password is None:
        raise click.UsageError("nothing to change; see --help")
    sealer = ctx.sealer()
    async with ctx.database() as database:
        with _known(user):
            await service.edit(ctx.change(database), sealer, user, protocol, fields, password=password)
    await ctx.tell_daemon()
    return f"{user}: {', '.join([*fields, *(['password'] if password is not None else [])])} changed"


@partner.command("remove")
@click.argument("user")
@_protocol
async def partner_remove(ctx: Context, user: str, protocol: str | None) -> str:
    """Take a login away and end its binds. Its messages stay; their reports can be pulled."""
    async with ctx.database() as database:
        with _known(user):
            await service.remove(ctx.change(database), user, protocol)
    await ctx.tell_daemon()
    return f"{user} is removed, and its binds are ended"


@partner.command("kick")
@click.argument("user")
@_protocol
@click.option("--reason", default="", help="Why; kept in the audit log.")
async def partner_kick(ctx: Context, user: str, protocol: str | None, reason: str) -> None:
    """End its binds on all nodes within seconds. It may bind again: to keep it out, use ``partner set --stop``."""
    async with ctx.database() as database:
        with _known(user):
            n = await service.kick(ctx.change(database), user, protocol, reason=reason)
    click.echo(f"{n} binds are being ended")


@partner.command("list")
@json_option
async def partner_list(ctx: Context, as_json: bool) -> None:
    """Logins, and the binds of all nodes."""
    async with ctx.database() as database:
        lines = await queries.partners(database)
    if as_json:
        print_json(lines)
        return
    shown = [
        {
            **line,
            "binds": f"{len(line['binds'])}/{line['max_binds']}",
            "from": [f"{b['mode'][:5]} {b['ip']} node {b['node']}" for b in line["binds"]],
            "now": f"{sum(b['rate'] for b in line['binds']):.1f}/s",
            "refused": sum(b["refused"] for b in line["binds"]),
            "slowed": sum(b["slowed"] for b in line["binds"]),
        }
        for line in lines
    ]
    print_table(
        shown,
        (
            "account",
            "protocol",
            "user",
            "status",
            "binds",
            "window",
            "rate",
            "now",
            "refused",
            "slowed",
            "type",
            "code",
            "ip_allow",
            "from",
        ),
        empty="no partners yet; make one with: smsgwctl partner add ACCOUNT --protocol smpp --user U --password-file -",
    )

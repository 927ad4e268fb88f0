"""``smsgwctl key``: the API keys of accounts."""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta
from typing import Any

import click

from smsgw.commands.account import account_id
from smsgw.commands.base import Context, When, group, json_option, print_json, print_table
from smsgw.core.ids import CHINA
from smsgw.core.keys import MAX_REQUESTS_PER_SECOND, REQUESTS_PER_SECOND, Network
from smsgw.core.permissions import SCOPES
from smsgw.platform.keys import queries, service
from smsgw.platform.keys.model import NewKey

EXPIRY = When(["%Y-%m-%d"])


def _networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(n, strict=False) for n in texts)
    except ValueError as exc:
        raise click.BadParameter(str(exc), param_hint="--ip") from exc


def _end_of(day: datetime | None) -> datetime | None:
    return None if day is None else day.replace(tzinfo=CHINA) + timedelta(days=1)


@group()
def key() -> None:
    """API keys."""


@key.command("add")
@click.argument("account_name", metavar="ACCOUNT")
@click.option("--scope", "scopes", multiple=True, help=f"One of {', '.join(SCOPES)}; may be repeated.")
@click.option("--test", is_flag=True, help="Messages go to a simulated carrier inside the daemon and cost nothing.")
@click.option("--ip", "networks", multiple=True, help="Allow only from this address or network; may be repeated.")
@click.option("--expires", type=EXPIRY, help="Day after which it is good no more (China), as 2026-12-31.")
@click.option(
    "--requests-per-second",
    type=click.IntRange(1, MAX_REQUESTS_PER_SECOND),
    default=REQUESTS_PER_SECOND,
    show_default=True,
    help="Calls of the API; twice as many may come at once.",
)
@json_option
async def key_add(
    ctx: Context,
    account_name: str,
    scopes: tuple[str, ...],
    test: bool,
    networks: tuple[str, ...],
    expires: datetime | None,
    requests_per_second: int,
    as_json: bool,
) -> None:
    """Make a key; its secrets are shown once."""
    allowed = _networks(networks)
    sealer = ctx.sealer()
    async with ctx.database() as database:
        owner = await account_id(database, account_name)
        options: dict[str, Any] = {"scopes": scopes} if scopes else {}
        new = await service.add(
            ctx.change(database),
            sealer,
            owner,
            test=test,
            ip_allow=allowed,
            expires_at=_end_of(expires),
            requests_per_second=requests_per_second,
            **options,
        )
    await ctx.tell_daemon()
    _show(new, as_json)


def _show(new: NewKey, as_json: bool) -> None:
    if as_json:
        print_json({"key_id": new.key_id, "secret": new.secret, "bearer": new.bearer})
    else:
        click.echo(f"key id  {new.key_id}\nsecret  {new.secret}\nbearer  {new.bearer}\nThey are not shown again.")


@key.command("list")
@click.argument("account_name", metavar="[ACCOUNT]", default="")
@json_option
async def key_list(ctx: Context, account_name: str, as_json: bool) -> None:
    """Keys, of an account or all, with when and from where they were last used."""
    async with ctx.database() as database:
        owners = [await account_id(database, account_name)] if account_name else None
        lines = await queries.keys(database, accounts=owners)
    if as_json:
        print_json(lines)
    else:
        print_table(
            [line | {"mode": "test" if line["test"] else "live"} for line in lines],
            ("key_id", "account", "mode", "status", "scopes", "ip_allow", "secrets", "expires_at", "last_used_at",
             "last_used_ip"),
            empty="no keys yet; make one with: smsgwctl key add ACCOUNT",
        )  # fmt: skip


@key.command("set")
@click.argument("key_id")
@click.option("--scope", "scopes", multiple=True, help="The scopes it has from now on; may be repeated.")
@click.option("--ip", "networks", multiple=True, help="Allow only from there from now on; may be repeated.")
@click.option("--any-ip", is_flag=True, help="Allow from anywhere (a bearer token needs an allow-list, though).")
@click.option("--expires", type=EXPIRY, help="Day after which it is good no more (China).")
@click.option("--no-expiry", is_flag=True, help="It does not expire.")
@click.option("--requests-per-second", type=click.IntRange(1, MAX_REQUESTS_PER_SECOND))
async def key_set(
    ctx: Context, key_id: str, scopes: tuple[str, ...], networks: tuple[str, ...], any_ip: bool,
    expires: datetime | None, no_expiry: bool, requests_per_second: int | None,
) -> str:  # fmt: skip
    """Change what a key may do."""
    changes: dict[str, Any] = {}
    if scopes:
        changes["scopes"] = scopes
    if networks or any_ip:
        changes["ip_allow"] = _networks(networks)
    if expires or no_expiry:
        changes["expires_at"] = _end_of(expires)
    if requests_per_second:
        changes["requests_per_second"] = requests_per_second
    if not changes:
        raise click.UsageError("nothing to change; see: smsgwctl key set --help")
    await _change(ctx, key_id, changes)
    return f"{key_id}: {', '.join(changes)} changed"


async def _change(ctx: Context, key_id: str, changes: dict[str, Any]) -> None:
    async with ctx.database() as database:
        await service.edit(ctx.change(database), key_id, changes)
    await ctx.tell_daemon()


@key.command("stop")
@click.argument("key_id")
async def key_stop(ctx: Context, key_id: str) -> str:
    """Refuse a key from now on."""
    await _change(ctx, key_id, {"status": "stopped"})
    return f"{key_id} is stopped: calls with it are refused"


@key.command("start")
@click.argument("key_id")
async def key_start(ctx: Context, key_id: str) -> str:
    """Take a stopped key again."""
    await _change(ctx, key_id, {"status": "active"})
    return f"{key_id} is active"


@key.command("rotate")
@click.argument("key_id")
@json_option
async def key_rotate(ctx: Context, key_id: str, as_json: bool) -> None:
    """Give a key a new secret and bearer token, shown once. The old ones stay good until `key retire`."""
    sealer = ctx.sealer()
    async with ctx.database() as database:
        new = await service.rotate(ctx.change(database), sealer, key_id)
    await ctx.tell_daemon()
    _show(new, as_json)


@key.command("retire")
@click.argument("key_id")
async def key_retire(ctx: Context, key_id: str) -> None:
    """Refuse the secret and token from before the rotation."""
    async with ctx.database() as database:
        await service.retire(ctx.change(database), key_id)
    await ctx.tell_daemon()
    click.echo(f"key {key_id}: only the new secret and token are good now")

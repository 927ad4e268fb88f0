"""``smsgwctl key``: the API keys of accounts."""

from __future__ import annotations

import ipaddress

import click

from smsgw.commands.account import account_id
from smsgw.commands.base import Context, actor, json_option, pass_context, print_json, run_async
from smsgw.store import keys


@click.group()
def key() -> None:
    """API keys."""


@key.command("add")
@click.argument("account_name", metavar="ACCOUNT")
@click.option("--scope", "scopes", multiple=True, help=f"One of {', '.join(keys.SCOPES)}; may be repeated.")
@click.option("--test", is_flag=True, help="Messages are never billed.")
@click.option(
    "--ip", "networks", multiple=True, help="Allow only from this address or network; may be repeated."
)
@click.option(
    "--requests-per-second",
    type=click.IntRange(1, keys.MAX_REQUESTS_PER_SECOND),
    default=keys.REQUESTS_PER_SECOND,
    show_default=True,
    help="Calls of the API; twice as many may come at once.",
)
@json_option
@pass_context
@run_async
async def key_add(
    ctx: Context,
    account_name: str,
    scopes: tuple[str, ...],
    test: bool,
    networks: tuple[str, ...],
    requests_per_second: int,
    as_json: bool,
) -> None:
    """Make a key; its secrets are shown once."""
    try:
        allowed = tuple(ipaddress.ip_network(n, strict=False) for n in networks)
    except ValueError as exc:
        raise click.BadParameter(str(exc), param_hint="--ip") from exc
    sealer = ctx.sealer()
    async with ctx.database() as database:
        owner = await account_id(database, account_name)
        options = {"scopes": scopes} if scopes else {}
        new = await keys.add_key(
            database,
            sealer,
            owner,
            actor=actor(),
            test=test,
            ip_allow=allowed,
            requests_per_second=requests_per_second,
            **options,  # type: ignore[arg-type]
        )
    await ctx.tell_daemon()
    if as_json:
        print_json({"key_id": new.key_id, "secret": new.secret, "bearer": new.bearer})
    else:
        click.echo(
            f"key id  {new.key_id}\nsecret  {new.secret}\nbearer  {new.bearer}\nThey are not shown again."
        )

"""``smsgwctl login``: what the portal's entrance demands, and the way back in for whoever is at the machine."""

from __future__ import annotations

from typing import Any

import click

from smsgw.commands.account import account_id
from smsgw.commands.base import Context, Failed, command, group, json_option, print_json, print_table, say
from smsgw.platform.login import queries, service
from smsgw.platform.login.model import Demand
from smsgw.platform.org import service as org, setup_code as setup_codes


@group()
def login() -> None:
    """The portal's entrance: second factors, networks, sessions, passwords."""


@command("setup-code")
async def setup_code(ctx: Context) -> None:
    """The code of the portal's first run, while nobody has been entered."""
    async with ctx.database() as database:
        code = await setup_codes.waiting(database, ctx.sealer())
    if not code:
        raise Failed("the first run is over: somebody was entered (smsgwctl user list)")
    say(code)


_factor = click.option(
    "--factor", "factors", multiple=True, type=click.Choice(["sms", "totp", "passkey", "none"]),
    help="One of these is asked for beside the password; none: no demand.",
)  # fmt: skip
_every = click.option("--every/--any", default=False, help="Every one of them, or any one.")
_network = click.option(
    "--network", "networks", multiple=True, help="From where; several with several options; any: from everywhere."
)


@login.command("show")
@json_option
async def login_show(ctx: Context, as_json: bool) -> None:
    """What is demanded of everybody, of roles and of single people."""
    async with ctx.database() as database:
        policy = await queries.policy(database)
        password = await queries.password_policy(database)
        demands = {"everybody": policy.demand}
        demands |= {f"role {code}": d for code, d in (await queries.of_roles(database)).items() if not d.empty}
        demands |= {f"user {who}": d for who, d in (await queries.of_people(database, None)).items() if not d.empty}
    lines = [
        {
            "who": who,
            "factors": ("all: " if d.every else "") + ",".join(sorted(d.factors)),
            "networks": ",".join(map(str, d.networks)),
        }
        for who, d in demands.items()
    ]
    rest = {
        "enrol_reset": policy.enrol_reset, "idle_minutes": policy.idle_minutes, "session_hours": policy.session_hours,
        "sessions": policy.sessions, "sms_accounts": list(policy.sms_accounts), "password_length": password.length,
        "password_classes": password.classes, "password_history": password.history, "password_days": password.days,
    }  # fmt: skip
    if as_json:
        print_json({"demands": lines} | rest)
        return
    print_table(lines, ("who", "factors", "networks"), empty="nothing is demanded")
    for name, value in rest.items():
        click.echo(f"{name:17} {value}")


@login.command("set")
@_factor
@click.option("--every/--any", "every", default=None, help="Every one of the factors, or any one.")
@_network
@click.option("--enrol-reset/--enrol-any", "enrol_reset", default=None,
              help="A first factor is set up only with a one-time password, or with any.")  # fmt: skip
@click.option("--idle-minutes", type=int)
@click.option("--session-hours", type=int)
@click.option("--sessions", type=int, help="Of one person at the same time.")
@click.option("--sms-account", "accounts", multiple=True, help="Account that sends login codes; none: no account.")
async def login_set(
    ctx: Context, factors: tuple[str, ...], networks: tuple[str, ...], accounts: tuple[str, ...], **plain: Any
) -> None:
    """Demand something of everybody. What is not given stays. In an emergency: ``--factor none --network any``."""
    changes = {name: value for name, value in plain.items() if value is not None}
    if factors:
        changes["factors"] = [name for name in factors if name != "none"]
    if networks:
        changes["networks"] = [str(n) for n in service.networks_of(n for n in networks if n != "any")]
    async with ctx.database() as database:
        if accounts:
            changes["sms_accounts"] = [await account_id(database, name) for name in accounts if name != "none"]
        await service.set_policy(ctx.change(database), changes)
    say("it holds from the next request on")


def _demand(factors: tuple[str, ...], networks: tuple[str, ...], every: bool) -> Demand:
    return Demand(
        service.factors_of([name for name in factors if name != "none"]),
        every,
        service.networks_of(n for n in networks if n != "any"),
    )


@login.command("role")
@click.argument("code")
@_factor
@_every
@_network
async def login_role(ctx: Context, code: str, factors: tuple[str, ...], networks: tuple[str, ...], every: bool) -> None:
    """Demand exactly this of everybody with a role, beside what is demanded of all; nothing given: nothing."""
    async with ctx.database() as database:
        await service.set_role(ctx.change(database), code, _demand(factors, networks, every))
    say("it holds from the next request on")


@login.command("person")
@click.argument("who")
@_factor
@_every
@_network
async def login_person(
    ctx: Context, who: str, factors: tuple[str, ...], networks: tuple[str, ...], every: bool
) -> None:
    """Demand exactly this of one person, beside what is demanded of all and of the roles; nothing given: nothing."""
    async with ctx.database() as database:
        await service.set_person(ctx.change(database), who, _demand(factors, networks, every))
    say("it holds from the next request on")


@login.command("password")
@click.option("--length", type=int, help="Characters at least, 10 to 64.")
@click.option("--classes", type=int, help="Kinds of characters at least, 3 or 4.")
@click.option("--history", type=int, help="Earlier passwords that are not taken again, 0 to 24.")
@click.option("--days", type=int, help="After which a password has to be changed; 0: never.")
async def login_password(ctx: Context, **given: int | None) -> None:
    """Say what is asked of passwords. What is not given stays."""
    async with ctx.database() as database:
        now = await queries.password_policy(database)
        values = {name: getattr(now, name) if value is None else value for name, value in given.items()}
        await org.set_password_policy(ctx.change(database), **values)
    say("it holds for the next password")

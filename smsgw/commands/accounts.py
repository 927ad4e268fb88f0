"""``smsgwctl account``, ``key``, ``user``, ``ledger``, ``audit``: who may send, who may log in, and the books."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import time
from dataclasses import asdict

import click

from smsgw.admin.auth import hash_password
from smsgw.commands.base import (
    Context,
    Failed,
    actor,
    json_option,
    pass_context,
    print_json,
    print_table,
    run_async,
)
from smsgw.core.ids import IdSource
from smsgw.core.states import REFUNDED
from smsgw.store import accounts, audit, keys, staff
from smsgw.store.db import Database


@click.group()
def account() -> None:
    """Sending accounts (短信账号)."""


@account.command("add")
@click.argument("name")
@click.option("--display-name", default="", help="Name for people.")
@click.option("--sign", "default_sign", default="", help="Signature put in front of texts that have none.")
@click.option("--no-sign", is_flag=True, help="Texts need no signature (the carrier adds it).")
@click.option(
    "--extend-code", default="", help="Digits behind the access code; replies to them come to this account."
)
@click.option(
    "--credit", type=click.IntRange(min=0), default=0, help="Postpaid: units the balance may go below zero."
)
@click.option("--balance", type=click.IntRange(min=0), default=0, help="Units to begin with.")
@json_option
@pass_context
@run_async
async def account_add(
    ctx: Context, name: str, display_name: str, default_sign: str, no_sign: bool, extend_code: str, credit: int,
    balance: int, as_json: bool,
) -> None:  # fmt: skip
    """Make an account."""
    async with ctx.database() as database:
        account_id = await accounts.add_account(
            database, name, actor=actor(), display_name=display_name, default_sign=default_sign,
            sign_required=not no_sign, extend_code=extend_code, credit_floor=-credit,
        )  # fmt: skip
        if balance:
            await accounts.top_up(
                database, account_id, balance, "opening balance", actor=actor(), ids=_ids(ctx)
            )
    await ctx.tell_daemon()
    if as_json:
        print_json({"id": account_id, "name": name})
    else:
        click.echo(f"account {name} made (id {account_id}); give it a key with: smsgwctl key add {name}")


def _ids(ctx: Context):  # type: ignore[no-untyped-def]
    # Ledger entries made at the keyboard use the highest node number, which no daemon may have together with ours.
    return IdSource(ctx.settings.node.number, lambda: time.time_ns() // 1_000_000).next


@account.command("list")
@json_option
@pass_context
@run_async
async def account_list(ctx: Context, as_json: bool) -> None:
    """All accounts."""
    async with ctx.database() as database:
        rows = await accounts.list_accounts(database)
    lines = [asdict(row.account) | {"balance": row.balance, "created_at": row.created_at} for row in rows]
    if as_json:
        print_json(lines)
    else:
        print_table(
            lines, ("name", "display_name", "status", "balance", "credit_floor", "default_sign", "extend_code"),
            empty="no accounts yet; make one with: smsgwctl account add NAME --sign 签名 --balance 10000",
        )  # fmt: skip


@account.command("set")
@click.argument("name")
@click.argument("changes", nargs=-1, required=True, metavar="FIELD=VALUE...")
@pass_context
@run_async
async def account_set(ctx: Context, name: str, changes: tuple[str, ...]) -> None:
    """Change display_name, default_sign, sign_required, extend_code, credit_floor, unknown_policy, emergency."""
    parsed: dict[str, object] = {}
    for change in changes:
        field, _, value = change.partition("=")
        if field == "credit_floor":
            parsed[field] = int(value)
        elif field in ("sign_required", "emergency"):
            parsed[field] = value.lower() in ("true", "1", "yes")
        else:
            parsed[field] = value or (None if field == "unknown_policy" else "")
    async with ctx.database() as database:
        await accounts.set_account(database, name, parsed, actor=actor())
    await ctx.tell_daemon()


async def _set_status(ctx: Context, name: str, status: str) -> None:
    async with ctx.database() as database:
        await accounts.set_account(database, name, {"status": status}, actor=actor())
    await ctx.tell_daemon()
    click.echo(f"account {name} is {status}")


@account.command("stop")
@click.argument("name")
@pass_context
@run_async
async def account_stop(ctx: Context, name: str) -> None:
    """Refuse new messages of an account."""
    await _set_status(ctx, name, "stopped")


@account.command("start")
@click.argument("name")
@pass_context
@run_async
async def account_start(ctx: Context, name: str) -> None:
    """Accept messages of an account again."""
    await _set_status(ctx, name, "active")


@account.command("topup")
@click.argument("name")
@click.argument("units", type=int)
@click.option("--note", default="", help="Why.")
@pass_context
@run_async
async def account_topup(ctx: Context, name: str, units: int, note: str) -> None:
    """Add units (billable parts) to an account; a negative number takes away."""
    async with ctx.database() as database:
        account_id = await _account_id(database, name)
        new = await accounts.top_up(database, account_id, units, note, actor=actor(), ids=_ids(ctx))
    click.echo(f"balance of {name}: {new}")


async def _account_id(database: Database, name: str) -> int:
    for row in await accounts.list_accounts(database):
        if row.account.name == name:
            return row.account.id
    raise Failed(f"no account {name}; see: smsgwctl account list")


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
        account_id = await _account_id(database, account_name)
        options = {"scopes": scopes} if scopes else {}
        new = await keys.add_key(
            database,
            sealer,
            account_id,
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


@click.group()
def user() -> None:
    """People who log in to the portal."""


@user.command("add")
@click.argument("login")
@click.option("--role", default="operator", show_default=True, help="super, admin, operator, ops, auditor, …")
@click.option("--name", default="", help="Name of the person.")
@click.option("--account", "account_names", multiple=True, help="Sending account the person may see.")
@json_option
@pass_context
@run_async
async def user_add(
    ctx: Context, login: str, role: str, name: str, account_names: tuple[str, ...], as_json: bool
) -> None:
    """Make a person; the one-time password is shown once and must be changed at the first login."""
    password = secrets.token_urlsafe(12)
    async with ctx.database() as database:
        ids = [await _account_id(database, account_name) for account_name in account_names]
        await staff.add_staff(
            database,
            login,
            name or login,
            role,
            await asyncio.to_thread(hash_password, password),
            accounts=ids,
            must_change=True,
        )
        await audit.record(database, actor(), "staff.add", f"staff/{login}", after={"role": role})
    _show_password(login, password, as_json)


@user.command("reset")
@click.argument("login")
@json_option
@pass_context
@run_async
async def user_reset(ctx: Context, login: str, as_json: bool) -> None:
    """Give a person a new one-time password, unlock them and end their sessions."""
    password = secrets.token_urlsafe(12)
    async with ctx.database() as database:
        person = await staff.get_staff_by_login(database, login)
        if person is None:
            raise Failed(f"no person {login}")
        hashed = await asyncio.to_thread(hash_password, password)
        await staff.set_password(database, person.id, hashed, must_change=True)
        await audit.record(database, actor(), "staff.reset", f"staff/{login}")
    _show_password(login, password, as_json)


def _show_password(login: str, password: str, as_json: bool) -> None:
    if as_json:
        print_json({"login": login, "password": password})
    else:
        click.echo(
            f"login     {login}\npassword  {password}\nIt is not shown again and must be changed at the first login."
        )


@click.group()
def ledger() -> None:
    """Money."""


@ledger.command("check")
@json_option
@pass_context
@run_async
async def ledger_check(ctx: Context, as_json: bool) -> None:
    """Compare the ledger with the messages: debits, refunds and balances must agree."""
    async with ctx.database() as database:
        lines = await accounts.check_ledger(database, tuple(int(s) for s in REFUNDED))
    if as_json:
        print_json([asdict(line) | {"problems": line.problems} for line in lines])
    else:
        print_table(
            [asdict(line) | {"verdict": "; ".join(line.problems) or "ok"} for line in lines],
            ("account", "balance", "debits", "refunds", "verdict"), empty="no accounts yet",
        )  # fmt: skip
    if any(line.problems for line in lines):
        raise SystemExit(1)


@click.group("audit")
def audit_group() -> None:
    """The audit log."""


@audit_group.command("verify")
@json_option
@pass_context
@run_async
async def audit_verify(ctx: Context, as_json: bool) -> None:
    """Walk the chain of hashes."""
    async with ctx.database() as database:
        checked, broken = await audit.verify(database)
    if as_json:
        print_json({"checked": checked, "first_broken": broken})
    else:
        click.echo(f"{checked} entries are sound" + (f"; entry {broken} was changed" if broken else ""))
    if broken is not None:
        raise SystemExit(1)

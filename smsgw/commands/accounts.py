"""``smsgwctl user``, ``ledger``, ``audit``: who may log in, and the books."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import asdict

import click

from smsgw.admin.auth import hash_password
from smsgw.commands.account import account_id
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
from smsgw.store import audit as records
from smsgw.store import ledger as books
from smsgw.store import staff


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
        ids = [await account_id(database, account_name) for account_name in account_names]
        await staff.add_staff(
            database,
            login,
            name or login,
            role,
            await asyncio.to_thread(hash_password, password),
            accounts=ids,
            must_change=True,
        )
        await records.record(database, actor(), "staff.add", f"staff/{login}", after={"role": role})
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
        await records.record(database, actor(), "staff.reset", f"staff/{login}")
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
        lines = await books.check_ledger(database)
    if as_json:
        print_json([asdict(line) | {"problems": line.problems} for line in lines])
    else:
        print_table(
            [
                asdict(line)
                | {"paid": sum(line.paid.values()), "verdict": "; ".join(line.problems) or "ok"}
                for line in lines
            ],
            ("account", "balance", "debits", "refunds", "paid", "verdict"), empty="no accounts yet",
        )  # fmt: skip
    if any(line.problems for line in lines):
        raise SystemExit(1)


@click.group()
def audit() -> None:
    """The audit log."""


@audit.command("verify")
@json_option
@pass_context
@run_async
async def audit_verify(ctx: Context, as_json: bool) -> None:
    """Walk the chain of hashes."""
    async with ctx.database() as database:
        checked, broken = await records.verify(database)
    if as_json:
        print_json({"checked": checked, "first_broken": broken})
    else:
        click.echo(f"{checked} entries are sound" + (f"; entry {broken} was changed" if broken else ""))
    if broken is not None:
        raise SystemExit(1)

"""``smsgwctl user``, ``ledger``, ``audit``: who may log in, and the books."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import click

from smsgw.admin.hashing import hash_password
from smsgw.admin.i18n import translations
from smsgw.admin.strength import one_time_password, password_problem
from smsgw.commands.account import account_id
from smsgw.commands.base import Context, Failed, group, json_option, print_json, print_table, read_password, say
from smsgw.core.actor import EVERYTHING
from smsgw.core.audit import Report
from smsgw.core.errors import Refused
from smsgw.core.numbers import mask
from smsgw.platform.accounts import reconciliation
from smsgw.platform.audit import service as auditing
from smsgw.platform.brand import queries as brand_queries
from smsgw.platform.login import service as entrance
from smsgw.platform.org import factors, queries, service as org


@group()
def user() -> None:
    """People who log in to the portal."""


@user.command("add")
@click.argument("login")
@click.option(
    "--role",
    "roles",
    multiple=True,
    default=("operator",),
    show_default=True,
    help="super, admin, operator, ops, auditor, …; several with several options.",
)
@click.option("--name", default="", help="Name of the person.")
@click.option("--account", "account_names", multiple=True, help="Sending account the person may see.")
@click.option("--password-file", help="One-time password in its first line, - for standard input; made when not given.")
@json_option
async def user_add(
    ctx: Context,
    login: str,
    roles: tuple[str, ...],
    name: str,
    account_names: tuple[str, ...],
    password_file: str | None,
    as_json: bool,
) -> None:
    """Make a person; the one-time password is shown once and must be changed at the first login."""
    async with ctx.database() as database:
        password = _one_time(password_file, login, name, await brand_queries.names(database))
        ids = [await account_id(database, account_name) for account_name in account_names]
        hashed = await asyncio.to_thread(hash_password, password)
        await org.add_person(ctx.change(database), login, name or login, roles, hashed, accounts=ids)
    _show_password(login, password, as_json, made=password_file is None)


@user.command("reset")
@click.argument("login")
@click.option("--password-file", help="One-time password in its first line, - for standard input; made when not given.")
@json_option
async def user_reset(ctx: Context, login: str, password_file: str | None, as_json: bool) -> None:
    """Give a person a new one-time password, and end their sessions."""
    async with ctx.database() as database:
        person = await queries.person(database, login)
        if person is None:
            raise Failed(f"no person {login}, or stopped (smsgwctl user start)")
        password = _one_time(password_file, login, person.name, await brand_queries.names(database))
        hashed = await asyncio.to_thread(hash_password, password)
        await org.reset_password(ctx.change(database), login, hashed)
    _show_password(login, password, as_json, made=password_file is None)


@user.command("stop")
@click.argument("login")
@click.option("--force", is_flag=True, help="Even the last administrator.")
async def user_stop(ctx: Context, login: str, force: bool) -> None:
    """Let a person in no more; their sessions end at once."""
    async with ctx.database() as database:
        try:
            with _person(login):
                ended = await org.stop_person(ctx.change(database), login, force=force)
        except Refused as exc:
            if exc.code != "LAST_ADMINISTRATOR":
                raise
            raise Failed(
                f"{login} is the last administrator: make another one first (smsgwctl user add --role super), "
                "or give --force"
            ) from exc
    say(f"{login} is stopped; {ended} session(s) ended")


@user.command("start")
@click.argument("login")
async def user_start(ctx: Context, login: str) -> None:
    """Let a stopped person in again, with the password they had."""
    async with ctx.database() as database:
        with _person(login):
            ended = await org.start_person(ctx.change(database), login)
    say(f"{login} is active; {ended} session(s) ended")


@contextlib.contextmanager
def _person(login: str) -> Iterator[None]:
    """What is done to a person; ``Failed`` when there is nobody of that login."""
    try:
        yield
    except Refused as exc:
        if exc.code != "NOT_FOUND":
            raise
        raise Failed(f"no person {login}") from exc


@user.command("unlock")
@click.argument("login")
async def user_unlock(ctx: Context, login: str) -> None:
    """Forget what was wrong at logins of a person: they need not wait any more."""
    async with ctx.database() as database:
        with _person(login):
            await entrance.unlock(ctx.change(database), login)
    say(f"{login} need not wait any more; running nodes follow within seconds")


@user.command("code")
@click.argument("login")
async def user_code(ctx: Context, login: str) -> None:
    """Make one recovery code for a person who has lost phone and app: good once, beside the password."""
    async with ctx.database() as database:
        with _person(login):
            code = await entrance.emergency_code(ctx.change(database), login)
    click.echo(f"{code}\nIt is not shown again and is good once.")


@user.command("reset-factors")
@click.argument("login")
async def user_reset_factors(ctx: Context, login: str) -> None:
    """Take app, passkeys, recovery codes and the verified number from a person, and end their sessions."""
    async with ctx.database() as database:
        with _person(login):
            await factors.reset_factors(ctx.change(database), login)
    say(f"{login} has no second factor any more")


@user.command("list")
@json_option
async def user_list(ctx: Context, as_json: bool) -> None:
    """Everybody who may log in or might once."""
    async with ctx.database() as database:
        people = [dict(row) for row in await queries.people(database, EVERYTHING)]
    lines = [p | {"role": ",".join(p["roles"]), "phone": mask(p["phone"])} for p in people]
    if as_json:
        print_json(lines)
    else:
        columns = ("login", "name", "role", "status", "accounts", "sessions", "must_change", "last_login_at")
        print_table(lines, columns, empty="nobody yet; make one with: smsgwctl user add LOGIN --role super")


def _one_time(path: str | None, login: str, name: str, brand: Iterable[str]) -> str:
    if path is None:
        return one_time_password(login, name)
    password = read_password(path)
    if problem := password_problem(password, login=login, name=name, brand=brand):
        raise Failed(f"the password is not good enough: {translations('en').gettext(problem)}")
    return password


def _show_password(login: str, password: str, as_json: bool, *, made: bool) -> None:
    if not made:
        print_json({"login": login}) if as_json else say(f"{login} must change the password at the next login")
    elif as_json:
        print_json({"login": login, "password": password})
    else:
        click.echo(
            f"login     {login}\npassword  {password}\nIt is not shown again and must be changed at the first login."
        )


@group()
def ledger() -> None:
    """Money."""


@ledger.command("check")
@json_option
async def ledger_check(ctx: Context, as_json: bool) -> None:
    """Compare the ledger with the messages: debits, refunds and balances must agree."""
    async with ctx.database() as database:
        lines = await reconciliation.check_ledger(database)
    if as_json:
        print_json([asdict(line) | {"problems": line.problems} for line in lines])
    else:
        print_table(
            [
                asdict(line) | {"paid": sum(line.paid.values()), "verdict": "; ".join(line.problems) or "ok"}
                for line in lines
            ],
            ("account", "balance", "debits", "refunds", "paid", "verdict"),
            empty="no accounts yet",
        )
    if any(line.problems for line in lines):
        raise SystemExit(1)


@group()
def audit() -> None:
    """The audit log."""


_anchor_option = click.option(
    "--anchor", "files", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Further anchors: the file of another node, or a system log with them.",
)  # fmt: skip


@audit.command("verify")
@_anchor_option
@json_option
async def audit_verify(ctx: Context, files: tuple[Path, ...], as_json: bool) -> None:
    """Check every row, the chain over them, and the chain against its anchors; exit 1 when something does not fit."""
    async with ctx.database() as database:
        report = await auditing.verify(database, ctx.sealer(), ctx.settings.anchor_file, files)
    if as_json:
        print_json(
            {
                "sound": report.sound, "rows": report.rows, "legacy": report.legacy, "open": report.open,
                "pruned": report.pruned, "anchors": report.anchors, "head": report.head.seq if report.head else None,
                "problems": [asdict(problem) | {"text": str(problem)} for problem in report.problems],
                "more": report.more,
            }
        )  # fmt: skip
    else:
        _tell(report)
    if not report.sound:
        raise SystemExit(1)


def _tell(report: Report) -> None:
    click.echo(f"{report.rows} rows in the chain are sound, checked against {report.anchors} anchors")
    for number, what in (
        (report.legacy, "rows from before the chain was keyed fit as well"),
        (report.open, "rows are too new to be in the chain; they are signed"),
        (report.pruned, "rows were dropped when their retention was over"),
    ):
        if number:
            click.echo(f"{number} {what}")
    for problem in report.problems:
        say(f"known since {problem.known}: {problem}" if problem.known else f"NOT SOUND: {problem}")
    if report.more:
        click.echo(f"NOT SOUND: {report.more} more problems")


@audit.command("accept")
@click.option("--reason", required=True, help="What has happened, such as: restored from the backup of …")
@_anchor_option
async def audit_accept(ctx: Context, reason: str, files: tuple[Path, ...]) -> None:
    """Write into the log that what verify finds now is known, and why; it is told apart from new things then."""
    async with ctx.database() as database:
        report = await auditing.verify(database, ctx.sealer(), ctx.settings.anchor_file, files)
        number = await auditing.accept(ctx.change(database), report, reason)
    _tell(report)
    click.echo(f"{number} problems are known from now on" if number else "there is nothing to accept")

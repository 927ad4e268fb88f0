"""``smsgwctl duty``: who is on duty, and whom people can turn to."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime

import click

from smsgw.commands.base import Context, When, group, json_option, print_rows
from smsgw.core.ids import CHINA
from smsgw.platform.duty import contacts, roster
from smsgw.runtime import clock


def _monday(day: datetime | None) -> date:
    return roster.monday((day or clock.now().astimezone(CHINA)).date())


@group()
def duty() -> None:
    """Duty roster (值班) and contacts."""


@duty.command("now")
@json_option
async def duty_now(ctx: Context, as_json: bool) -> None:
    """Who is on duty now."""
    async with ctx.database() as database:
        found = await roster.now(database, clock.now())
    lines = [] if found is None else [{"login": found.login, "name": found.name}]
    print_rows(lines, ["login", "name"], as_json, empty="nobody is on duty")


@duty.command("show")
@click.option("--week", type=When(["%Y-%m-%d"]), default=None, help="A day of it; this week otherwise.")
@json_option
async def duty_show(ctx: Context, week: datetime | None, as_json: bool) -> None:
    """The roster of a week."""
    first = _monday(week)
    async with ctx.database() as database:
        known = await roster.week(database, first)
    lines = [
        {"day": str(day), "shift": shift, "login": known[day, shift].login if (day, shift) in known else ""}
        for day, shift in roster.places(first)
    ]
    print_rows(lines, ["day", "shift", "login"], as_json, empty="")


@duty.command("set")
@click.argument("day", type=When(["%Y-%m-%d"]))
@click.argument("shift", type=click.Choice(roster.SHIFTS))
@click.argument("login")
async def duty_set(ctx: Context, day: datetime, shift: str, login: str) -> str:
    """Say who has a shift; "-" for nobody."""
    first = _monday(day)
    async with ctx.database() as database:
        wanted = {place: one.login for place, one in (await roster.week(database, first)).items()}
        wanted.pop((day.date(), shift), None)
        if login != "-":
            wanted[day.date(), shift] = login
        await roster.put(ctx.change(database), first, wanted)
    return f"{day:%Y-%m-%d} {shift}: {'nobody' if login == '-' else login}"


@duty.command("copy")
@click.option("--week", type=When(["%Y-%m-%d"]), default=None, help="A day of it; this week otherwise.")
async def duty_copy(ctx: Context, week: datetime | None) -> None:
    """Have a week as the one before it."""
    async with ctx.database() as database:
        click.echo(f"{await roster.copy(ctx.change(database), _monday(week))} shift(s)")


@duty.group("contact")
def contact() -> None:
    """Whom people can turn to: hotline, groups, addresses."""


@contact.command("list")
@json_option
async def contact_list(ctx: Context, as_json: bool) -> None:
    """All of them."""
    async with ctx.database() as database:
        lines = [asdict(one) for one in await contacts.listed(database)]
    print_rows(lines, ["id", "kind", "label", "value", "note"], as_json, empty="no contacts")


@contact.command("add")
@click.argument("kind", type=click.Choice(contacts.KINDS))
@click.argument("label")
@click.argument("value")
@click.option("--note", default="")
async def contact_add(ctx: Context, kind: str, label: str, value: str, note: str) -> None:
    """A new one; everybody who logs in sees it."""
    async with ctx.database() as database:
        click.echo(await contacts.add(ctx.change(database), contacts.Draft(kind, label, value, note)))


@contact.command("remove")
@click.argument("id_", type=int, metavar="ID")
async def contact_remove(ctx: Context, id_: int) -> str:
    """Forget one."""
    async with ctx.database() as database:
        await contacts.remove(ctx.change(database), id_)
    return f"contact {id_} is removed"

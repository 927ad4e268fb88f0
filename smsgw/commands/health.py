"""``smsgwctl health``: the daily health mail, what it says, who gets it, and what became of each."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import click

from smsgw.admin import health_mail
from smsgw.commands.base import Context, When, group, json_option, print_json, print_rows, print_table
from smsgw.core.actor import Actor
from smsgw.core.ids import CHINA
from smsgw.platform.health import queries, report, service
from smsgw.platform.health.model import HOUR
from smsgw.platform.health.queries import HEALTH_MAILS, MailFilter
from smsgw.platform.mailing import LANGUAGES
from smsgw.platform.paging import Window
from smsgw.runtime import clock

_ALL = Actor.system("health")


@group()
def health() -> None:
    """The daily health mail (健康日报)."""


def _yesterday() -> date:
    return clock.now().astimezone(CHINA).date() - timedelta(days=1)


@health.command("show")
@click.option("--day", type=When(["%Y-%m-%d"]), default=None, help="Whose figures; yesterday otherwise.")
@json_option
async def health_show(ctx: Context, day: datetime | None, as_json: bool) -> None:
    """What a mail would say now. Exit 0, whatever it says."""
    of = day.date() if day else _yesterday()
    async with ctx.database() as database:
        configured = report.Configured.of(ctx.settings, len(ctx.sealer().ids))
        found = await report.made(database, configured, of, of, clock.now())
    lines = [{"state": one.state, "text": one.text} for one in health_mail.lines(found, "en")]
    print_json({"state": found.state, "lines": lines}) if as_json else print_table(lines, ["state", "text"], empty="")


@health.command("plan")
@json_option
async def health_plan(ctx: Context, as_json: bool) -> None:
    """Who gets it, and when."""
    async with ctx.database() as database:
        plan = await queries.plan(database)
    lines = [
        {"email": email, "hour": plan.hour, "language": plan.language, "changed_by": plan.changed_by}
        for email in plan.emails
    ] if plan else []  # fmt: skip
    columns = ["email", "hour", "language", "changed_by"]
    print_rows(lines, columns, as_json, empty="nobody gets it")


@health.command("set")
@click.argument("emails", nargs=-1)
@click.option("--hour", type=click.IntRange(0, 23), default=HOUR, show_default=True, help="Of the day, in China.")
@click.option("--language", type=click.Choice(LANGUAGES), default="zh", show_default=True)
async def health_set(ctx: Context, emails: tuple[str, ...], hour: int, language: str) -> str:
    """Let these get it, and nobody else; without any it is not sent any more."""
    async with ctx.database() as database:
        await service.set_plan(ctx.change(database), emails, language, hour)
    return f"sent at {hour}:00 to {', '.join(emails)}" if emails else "sent to nobody"


@health.command("send")
async def health_send(ctx: Context) -> None:
    """Send one to each receiver now, beside the daily one; a running node with a mail server does it."""
    async with ctx.database() as database:
        click.echo(f"{await service.ask(ctx.change(database))} mail(s)")


@health.command("mails")
@click.option("--state", type=click.Choice(["waiting", "sending", "sent", "failed", "unsure"]), default=None)
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@json_option
async def health_mails(ctx: Context, state: str | None, limit: int, as_json: bool) -> None:
    """What became of them, the newest first."""
    async with ctx.database() as database:
        window = Window("health_day", limit=limit)
        found = await HEALTH_MAILS.search(database, _ALL, MailFilter(state or ""), window)
    lines = [
        {"id": one.id, "first": str(one.first), "day": str(one.day), "receiver": one.receiver, "state": one.state,
         "tries": one.tries, "asked_by": one.asked_by, "said": one.said}
        for one in found.rows
    ]  # fmt: skip
    columns = ["id", "day", "receiver", "state", "tries", "asked_by", "said"]
    print_rows(lines, columns, as_json, empty="none")


@health.command("again")
@click.argument("id_", type=int, metavar="ID")
async def health_again(ctx: Context, id_: int) -> str:
    """Send one once more that has failed, or may not have arrived."""
    async with ctx.database() as database:
        await service.again(ctx.change(database), id_)
    return f"health mail {id_} is sent once more"

"""``smsgwctl alarm``: what is wrong, and who looks after it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta

import click

from smsgw.commands.base import (
    Context,
    in_locale,
    json_option,
    pass_context,
    print_json,
    print_table,
    run_async,
)
from smsgw.core.alarm_notes import Way
from smsgw.core.words import english_of
from smsgw.platform.accounts.queries import id_of
from smsgw.platform.alarms import notes, queries, receivers, service, silences
from smsgw.platform.alarms.model import MOST_AFTER, MOST_RECEIVERS, Draft
from smsgw.platform.alarms.notes import Wanted
from smsgw.platform.paging import Window
from smsgw.runtime import clock


@click.group()
def alarm() -> None:
    """Alarms (告警)."""


@alarm.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that are over.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=200, show_default=True)
@json_option
@pass_context
@run_async
async def alarm_list(ctx: Context, everything: bool, limit: int, as_json: bool) -> None:
    """Open alarms, the gravest first."""
    async with ctx.database() as database:
        alarms = await queries.page(database, accounts=None, everything=everything, limit=limit)
    lines = [asdict(a) | {"detail": a.detail.english, "detail_zh": str(a.detail)} for a in alarms]
    if as_json:
        print_json(lines)
    else:
        lines = [line | {"detail": in_locale(a.detail)} for line, a in zip(lines, alarms, strict=True)]
        columns = ["id", "severity", "kind", "object", "since", "last", "count", "acked_by", "detail"]
        print_table(lines, [*columns, "cleared_at"] if everything else columns, empty="no alarms")


@alarm.command("ack")
@click.argument("ids", nargs=-1, required=True, type=int, metavar="ID...")
@pass_context
@run_async
async def alarm_ack(ctx: Context, ids: tuple[int, ...]) -> None:
    """Say that you look after these alarms; they stay open until the trouble is over."""
    async with ctx.database() as database:
        click.echo(f"{await service.acknowledge(ctx.change(database), ids)} alarm(s) acknowledged")


# --- who is told -----------------------------------------------------------------------------------------------------


@alarm.group("receiver")
def receiver() -> None:
    """Who is told of alarms (接收人): by message, mail, robot or webhook."""


@receiver.command("list")
@json_option
@pass_context
@run_async
async def receiver_list(ctx: Context, as_json: bool) -> None:
    """All of them; of their addresses what may be shown."""
    async with ctx.database() as database:
        window = Window("name", False, limit=MOST_RECEIVERS)
        found = await receivers.search(database, ctx.change(database).actor, window)
    lines = [asdict(one) for one in found.rows]
    columns = ["id", "name", "kind", "shown", "account", "critical_only", "language", "active"]
    print_json(lines) if as_json else print_table(lines, columns, empty="nobody is told of alarms")


@receiver.command("add")
@click.argument("name")
@click.argument("way", type=click.Choice([str(way) for way in Way]))
@click.option("--address", help="A number or a mail address; of others it is asked for, as it holds a key.")
@click.option("--secret", help="Of the signature, of a webhook or a DingTalk robot; asked for otherwise.")
@click.option("--account", default="", help="Of messages: the sending account.")
@click.option("--critical-only", is_flag=True, help="Nothing is told of warnings.")
@click.option(
    "--after-minutes", type=click.IntRange(0, MOST_AFTER), default=0, help="Told of what nobody takes on for so long."
)
@click.option("--language", type=click.Choice(receivers.LANGUAGES), default="zh", show_default=True)
@pass_context
@run_async
async def receiver_add(
    ctx: Context, name: str, way: str, address: str | None, secret: str | None, account: str, critical_only: bool,
    after_minutes: int, language: str,
) -> None:  # fmt: skip
    """A new one, told of alarms that open from now on. Try it out: smsgwctl alarm receiver test ID."""
    kind = Way(way)
    if address is None:
        address = click.prompt("address", hide_input=kind not in (Way.SMS, Way.MAIL))
    if secret is None and kind in (Way.DINGTALK, Way.WEBHOOK):
        secret = click.prompt("secret of the signature", hide_input=True, default="", show_default=False)
    async with ctx.database() as database:
        account_id = await id_of(database, account) if account else None
        draft = Draft(name, kind, address, secret or "", account_id, critical_only, language, after_minutes)
        click.echo(await receivers.add(ctx.change(database), ctx.sealer(), draft, ctx.settings.webhooks.reach))


@receiver.command("test")
@click.argument("id_", type=int, metavar="ID")
@pass_context
@run_async
async def receiver_test(ctx: Context, id_: int) -> None:
    """Send a note to try it out; what becomes of it: smsgwctl alarm notes."""
    async with ctx.database() as database:
        click.echo(f"note {await receivers.test(ctx.change(database), id_)} is on its way")


@receiver.command("stop")
@click.argument("id_", type=int, metavar="ID")
@pass_context
@run_async
async def receiver_stop(ctx: Context, id_: int) -> None:
    """Tell it nothing for now."""
    async with ctx.database() as database:
        await receivers.switch(ctx.change(database), id_, active=False)


@receiver.command("start")
@click.argument("id_", type=int, metavar="ID")
@pass_context
@run_async
async def receiver_start(ctx: Context, id_: int) -> None:
    """Tell it again."""
    async with ctx.database() as database:
        await receivers.switch(ctx.change(database), id_, active=True)


@receiver.command("remove")
@click.argument("id_", type=int, metavar="ID")
@pass_context
@run_async
async def receiver_remove(ctx: Context, id_: int) -> None:
    """Forget it and its address."""
    async with ctx.database() as database:
        await receivers.remove(ctx.change(database), id_)


@alarm.command("notes")
@click.option("--state", type=click.Choice(["waiting", "sending", "sent", "failed", "unsure", "dropped"]), default=None)
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@json_option
@pass_context
@run_async
async def alarm_notes(ctx: Context, state: str | None, limit: int, as_json: bool) -> None:
    """What receivers were told, the latest first: what failed, and why."""
    async with ctx.database() as database:
        wanted = Wanted(state=state or "")
        found = await notes.search(database, ctx.change(database).actor, wanted, Window(limit=limit))
    lines = [asdict(one) | {"said": english_of(one.answer)} for one in found.rows]
    columns = ["id", "entered_at", "event", "kind", "object", "receiver", "way", "state", "tries", "said"]
    print_json(lines) if as_json else print_table(lines, columns, empty="nobody was told of anything")


@alarm.command("again")
@click.argument("id_", type=int, metavar="ID")
@pass_context
@run_async
async def alarm_again(ctx: Context, id_: int) -> None:
    """Send a note once more that has failed, or may not have arrived."""
    async with ctx.database() as database:
        await notes.again(ctx.change(database), id_)


# --- silence ---------------------------------------------------------------------------------------------------------


@alarm.group("silence")
def silence() -> None:
    """Alarms that nobody is told of for a time (静默); they stand and are recorded all the same."""


@silence.command("list")
@json_option
@pass_context
@run_async
async def silence_list(ctx: Context, as_json: bool) -> None:
    """Those that hold, and those that held."""
    async with ctx.database() as database:
        found = await silences.search(database, ctx.change(database).actor, Window(limit=100))
    lines = [asdict(one) for one in found.rows]
    columns = ["id", "kind", "object", "holds", "until", "reason", "made_by"]
    print_json(lines) if as_json else print_table(lines, columns, empty="nothing is silenced")


@silence.command("add")
@click.argument("reason")
@click.option("--kind", default="", help="Such as channel_down; empty: any.")
@click.option("--object", "about", default="", help="Such as channel/NAME; empty: any.")
@click.option("--minutes", type=click.IntRange(1, 10_080), default=60, show_default=True)
@pass_context
@run_async
async def silence_add(ctx: Context, reason: str, kind: str, about: str, minutes: int) -> None:
    """Let nobody be told; of what still stands at its end everybody is told then."""
    async with ctx.database() as database:
        until = clock.now() + timedelta(minutes=minutes)
        click.echo(await silences.add(ctx.change(database), kind, about, until, reason))


@silence.command("end")
@click.argument("id_", type=int, metavar="ID")
@pass_context
@run_async
async def silence_end(ctx: Context, id_: int) -> None:
    """It is over now."""
    async with ctx.database() as database:
        await silences.end(ctx.change(database), id_)

"""``smsgwctl alarm``: what is wrong, and who looks after it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import click

from smsgw.commands.base import Context, Failed, group, in_locale, json_option, print_json, print_rows, print_table
from smsgw.core.actor import Actor
from smsgw.core.alarm_notes import Way
from smsgw.core.alarm_rules import KINDS, VALUES, Rule
from smsgw.core.words import english_of
from smsgw.platform.accounts.queries import id_of
from smsgw.platform.alarms import notes, queries, receivers, rules, service, silences
from smsgw.platform.alarms.model import MOST_AFTER, MOST_RECEIVERS, Draft
from smsgw.platform.alarms.notes import ALARM_NOTES, NoteFilter
from smsgw.platform.alarms.receivers import ALARM_RECEIVERS
from smsgw.platform.alarms.silences import ALARM_SILENCES
from smsgw.platform.handles import Database
from smsgw.platform.paging import Window
from smsgw.runtime import clock


@group()
def alarm() -> None:
    """Alarms (告警)."""


@alarm.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that are over.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=200, show_default=True)
@json_option
async def alarm_list(ctx: Context, everything: bool, limit: int, as_json: bool) -> None:
    """Open alarms, the gravest first."""
    async with ctx.database() as database:
        alarms = await queries.page(database, everything=everything, limit=limit)
    lines = [asdict(a) | {"detail": a.detail.english, "detail_zh": str(a.detail)} for a in alarms]
    if as_json:
        print_json(lines)
    else:
        lines = [line | {"detail": in_locale(a.detail)} for line, a in zip(lines, alarms, strict=True)]
        columns = ["id", "severity", "kind", "object", "since", "last", "count", "acked_by", "detail"]
        print_table(lines, [*columns, "cleared_at", "unwatched"] if everything else columns, empty="no alarms")


@alarm.command("ack")
@click.argument("ids", nargs=-1, required=True, type=int, metavar="ID...")
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
async def receiver_list(ctx: Context, as_json: bool) -> None:
    """All of them; of their addresses what may be shown."""
    async with ctx.database() as database:
        window = Window("name", False, limit=MOST_RECEIVERS)
        found = await ALARM_RECEIVERS.search(database, ctx.change(database).actor, None, window)
    lines = [asdict(one) for one in found.rows]
    columns = ["id", "name", "kind", "shown", "account", "critical_only", "language", "active"]
    print_rows(lines, columns, as_json, empty="nobody is told of alarms")


@receiver.command("add")
@click.argument("name")
@click.argument("way", type=click.Choice([str(way) for way in Way]))
@click.option("--address", help="A number or a mail address; of others it is asked for, as it holds a key.")
@click.option("--secret", help="Of the signature, of a webhook or a DingTalk robot; asked for otherwise.")
@click.option("--account", default="", help="Of messages: the sending account.")
@click.option("--critical-only", is_flag=True, help="Nothing is told of warnings.")
@click.option("--on-duty", is_flag=True, help="Told is who is on duty then; the address stands in where nobody is.")
@click.option(
    "--after-minutes", type=click.IntRange(0, MOST_AFTER), default=0, help="Told of what nobody takes on for so long."
)
@click.option("--language", type=click.Choice(receivers.LANGUAGES), default="zh", show_default=True)
async def receiver_add(
    ctx: Context, name: str, way: str, address: str | None, secret: str | None, account: str, critical_only: bool,
    on_duty: bool, after_minutes: int, language: str,
) -> None:  # fmt: skip
    """A new one, told of alarms that open from now on. Try it out: smsgwctl alarm receiver test ID."""
    kind = Way(way)
    if address is None:
        address = click.prompt("address", hide_input=kind not in (Way.SMS, Way.MAIL))
    if secret is None and kind in (Way.DINGTALK, Way.WEBHOOK):
        secret = click.prompt("secret of the signature", hide_input=True, default="", show_default=False)
    async with ctx.database() as database:
        account_id = await id_of(database, account) if account else None
        draft = Draft(
            name, kind, address, secret or "", account_id, critical_only, language, after_minutes, on_duty=on_duty
        )
        click.echo(await receivers.add(ctx.change(database), ctx.sealer(), draft, ctx.settings.webhooks.reach))


@receiver.command("test")
@click.argument("id_", type=int, metavar="ID")
async def receiver_test(ctx: Context, id_: int) -> None:
    """Send a note to try it out; what becomes of it: smsgwctl alarm notes."""
    async with ctx.database() as database:
        click.echo(f"note {await receivers.test(ctx.change(database), id_)} is on its way")


@receiver.command("stop")
@click.argument("id_", type=int, metavar="ID")
async def receiver_stop(ctx: Context, id_: int) -> str:
    """Tell it nothing for now."""
    async with ctx.database() as database:
        await receivers.switch(ctx.change(database), id_, active=False)
    return f"receiver {id_} gets no notes for now"


@receiver.command("start")
@click.argument("id_", type=int, metavar="ID")
async def receiver_start(ctx: Context, id_: int) -> str:
    """Tell it again."""
    async with ctx.database() as database:
        await receivers.switch(ctx.change(database), id_, active=True)
    return f"receiver {id_} gets notes again"


@receiver.command("remove")
@click.argument("id_", type=int, metavar="ID")
async def receiver_remove(ctx: Context, id_: int) -> str:
    """Forget it and its address."""
    async with ctx.database() as database:
        await receivers.remove(ctx.change(database), id_)
    return f"receiver {id_} is removed"


@alarm.command("notes")
@click.option("--state", type=click.Choice(["waiting", "sending", "sent", "failed", "unsure", "dropped"]), default=None)
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@json_option
async def alarm_notes(ctx: Context, state: str | None, limit: int, as_json: bool) -> None:
    """What receivers were told, the latest first: what failed, and why."""
    async with ctx.database() as database:
        wanted = NoteFilter(note_state=state or "")
        found = await ALARM_NOTES.search(database, ctx.change(database).actor, wanted, Window(limit=limit))
    lines = [asdict(one) | {"said": english_of(one.answer)} for one in found.rows]
    columns = ["id", "entered_at", "event", "kind", "object", "receiver", "way", "state", "tries", "said"]
    print_rows(lines, columns, as_json, empty="nobody was told of anything")


@alarm.command("again")
@click.argument("id_", type=int, metavar="ID")
async def alarm_again(ctx: Context, id_: int) -> str:
    """Send a note once more that has failed, or may not have arrived."""
    async with ctx.database() as database:
        await notes.again(ctx.change(database), id_)
    return f"note {id_} is sent once more"


# --- silence ---------------------------------------------------------------------------------------------------------


@alarm.group("silence")
def silence() -> None:
    """Alarms that nobody is told of for a time (静默); they stand and are recorded all the same."""


@silence.command("list")
@json_option
async def silence_list(ctx: Context, as_json: bool) -> None:
    """Those that hold, and those that held."""
    async with ctx.database() as database:
        found = await ALARM_SILENCES.search(database, ctx.change(database).actor, None, Window(limit=100))
    lines = [asdict(one) for one in found.rows]
    columns = ["id", "kind", "object", "holds", "until", "reason", "made_by"]
    print_rows(lines, columns, as_json, empty="nothing is silenced")


@silence.command("add")
@click.argument("reason")
@click.option("--kind", default="", help="Such as channel_down; empty: any.")
@click.option("--object", "about", default="", help="Such as channel/NAME; empty: any.")
@click.option("--minutes", type=click.IntRange(1, 10_080), default=60, show_default=True)
async def silence_add(ctx: Context, reason: str, kind: str, about: str, minutes: int) -> None:
    """Let nobody be told; of what still stands at its end everybody is told then."""
    async with ctx.database() as database:
        until = clock.now() + timedelta(minutes=minutes)
        click.echo(await silences.add(ctx.change(database), kind, about, until, reason))


@silence.command("end")
@click.argument("id_", type=int, metavar="ID")
async def silence_end(ctx: Context, id_: int) -> str:
    """It is over now."""
    async with ctx.database() as database:
        await silences.end(ctx.change(database), id_)
    return f"silence {id_} is over"


# --- rules -----------------------------------------------------------------------------------------------------------


@alarm.group("rule")
def rule() -> None:
    """What is an alarm, after how long, how grave, and who is told (告警规则)."""


@rule.command("list")
@json_option
async def rule_list(ctx: Context, as_json: bool) -> None:
    """All of them with what they say now; exceptions behind the rule for all."""
    async with ctx.database() as database:
        found = await rules.search(database, ctx.change(database).actor, Window("kind", False, limit=1000))
    lines = [
        {"id": one.id, "kind": one.rule.kind, "object": one.rule.object, "on": one.rule.on,
         "severity": one.rule.severity, "after": one.rule.after, **one.rule.values, "receivers": list(one.receivers),
         "changed": one.changed, "fired": one.fired}
        for one in found.rows
    ]  # fmt: skip
    if as_json:
        print_json(lines)
    else:
        said = [in_locale(one.rule.condition) for one in found.rows]
        shown = [line | {"condition": condition} for line, condition in zip(lines, said, strict=True)]
        print_table(shown, ["id", "kind", "object", "on", "severity", "after", "condition", "fired"], empty="no rules")


def _wanted(before: Rule, values: Mapping[str, Any], receiver: Sequence[int], everybody: bool) -> rules.Draft:
    """The rule with what was given; the rest stays."""
    given = {name: values[name] for name in VALUES if values[name] is not None}
    told = None if everybody else tuple(receiver) or before.receivers
    on = before.on if values["on"] is None else values["on"]
    after = before.after if values["after"] is None else values["after"]
    return rules.Draft(on, values["severity"] or before.severity, after, given, told)


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--on/--off", default=None, help="Whether it is an alarm at all."),
        click.option("--severity", type=click.Choice(rules.SEVERITIES), default=None),
        click.option("--after", type=int, default=None, help="Seconds for which it must have been so."),
        click.option("--threshold", type=int, default=None),
        click.option("--minutes", type=int, default=None),
        click.option("--least", type=int, default=None),
        click.option("--receiver", type=int, multiple=True, metavar="ID", help="Who is told; any number of times."),
        click.option("--everybody", is_flag=True, help="All receivers are told."),
    ):
        command = option(command)
    return command


async def _rule(database: Database, actor: Actor, name: str, about: str) -> rules.Listed:
    """The rule of that kind (for all objects, or for one), or of that number; who means none is told what there is."""
    found = await rules.search(database, actor, Window("kind", False, limit=1000))
    if name.isdecimal():
        if about:
            raise click.UsageError(f"{about}: a rule named by its number has its object; leave one of them out")
        for one in found.rows:
            if one.id == int(name):
                return one
        raise Failed(f"no rule {name}; see: smsgwctl alarm rule list")
    of_kind = [one for one in found.rows if one.rule.kind == name]
    if not of_kind:
        near = difflib.get_close_matches(name, KINDS, 3, 0.5)
        meant = f"; did you mean {' or '.join(near)}?" if near else f"; there are {', '.join(sorted(KINDS))}"
        raise Failed(f"no alarm is called {name}{meant}")
    for one in of_kind:
        if one.rule.object == about:
            return one
    there = ", ".join(one.rule.object for one in of_kind if one.rule.object) or "none"
    raise Failed(f"{name} has no rule of its own for {about} (it has: {there}); smsgwctl alarm rule except makes one")


@rule.command("set")
@click.argument("name", metavar="KIND|ID")
@click.argument("about", metavar="[OBJECT]", default="")
@_options
async def rule_set(
    ctx: Context, name: str, about: str, receiver: tuple[int, ...], everybody: bool, **values: Any
) -> str:
    """Change a rule, such as queue_old, or its exception for an object, queue_old lane/otp; what is not named stays.
    Nodes follow within seconds."""
    async with ctx.database() as database:
        change = ctx.change(database)
        before = await _rule(database, change.actor, name, about)
        await rules.put(change, before.id, _wanted(before.rule, values, receiver, everybody))
    return f"{' '.join([name, about]).strip()} is changed; smsgwctl alarm rule list shows it"


@rule.command("except")
@click.argument("kind")
@click.argument("about", metavar="OBJECT")
@_options
async def rule_except(
    ctx: Context, kind: str, about: str, receiver: tuple[int, ...], everybody: bool, **values: Any
) -> None:
    """Another rule for one object, such as success_low channel/NAME, or queue_old lane/otp."""
    async with ctx.database() as database:
        before = (await rules.current(database)).of(kind)
        click.echo(await rules.except_(ctx.change(database), kind, about, _wanted(before, values, receiver, everybody)))


@rule.command("reset")
@click.argument("name", metavar="KIND|ID")
@click.argument("about", metavar="[OBJECT]", default="")
async def rule_reset(ctx: Context, name: str, about: str) -> str:
    """As by default; an exception is removed."""
    async with ctx.database() as database:
        change = ctx.change(database)
        await rules.reset(change, (await _rule(database, change.actor, name, about)).id)
    return f"{' '.join([name, about]).strip()} is as by default"

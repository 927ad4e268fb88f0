"""``smsgwctl fault``: the register of faults, and the line of time around them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta

import click

from smsgw.commands.base import Context, group, in_locale, json_option, print_json, print_rows, print_table
from smsgw.core import moments
from smsgw.core.errors import Refused
from smsgw.core.ids import CHINA
from smsgw.core.words import Wording, labels_of
from smsgw.platform.alarms.queries import ALARMS
from smsgw.platform.faults import queries, service, timeline
from smsgw.platform.faults.queries import FAULTS, FaultFilter
from smsgw.platform.paging import Window
from smsgw.runtime import clock


class _Minute(click.ParamType):
    name = "YYYY-MM-DD HH:MM"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            return moments.minute(str(value))
        except ValueError:
            self.fail("a time in China such as '2026-01-31 09:05'", param, ctx)


def _told(value: Wording | str) -> str:
    return in_locale(value) if isinstance(value, Wording) else value


@group()
def fault() -> None:
    """Faults (故障登记): opened, responded to, recovered from, closed with a report."""


@fault.command("list")
@click.option("--state", type=click.Choice(["open", "handling", "recovered", "closed"]), default=None)
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@json_option
async def fault_list(ctx: Context, state: str | None, limit: int, as_json: bool) -> None:
    """Faults, those that are not closed first."""
    async with ctx.database() as database:
        actor = ctx.change(database).actor
        found = await FAULTS.search(database, actor, FaultFilter(state or ""), Window("fault_state", limit=limit))
    now = clock.now()
    lines = [
        asdict(one) | {"title": _told(one.name), "state": one.state.value, "response": one.response.state(now).value,
                       "recovery": one.recovery.state(now).value}
        for one in found.rows
    ]  # fmt: skip
    columns = ["id", "state", "severity", "title", "began_at", "response", "recovery", "responded_by", "counts"]
    print_rows(lines, columns, as_json, empty="no faults")


@fault.command("open")
@click.argument("title", default="")
@click.option("--alarm", "alarm_id", type=int, default=None, help="The alarm that it is known by; needs no title.")
@click.option("--severity", type=click.Choice(["critical", "warning"]), default="critical", show_default=True)
@click.option("--began", type=_Minute(), default=None, help="In China's time; now otherwise.")
async def fault_open(ctx: Context, title: str, alarm_id: int | None, severity: str, began: datetime | None) -> None:
    """Register one; prints its number."""
    async with ctx.database() as database:
        change = ctx.change(database)
        if alarm_id is None:
            draft = service.Draft(title, severity, began or clock.now())
            click.echo(await service.open_(change, draft))
            return
        found = await ALARMS.get(database, change.actor, alarm_id)
        if found is None:
            raise Refused("NOT_FOUND")
        click.echo(await service.of_alarm(change, found))


@fault.command("respond")
@click.argument("id_", type=int, metavar="ID")
async def fault_respond(ctx: Context, id_: int) -> str:
    """Say that you look after it; its alarms are acknowledged."""
    async with ctx.database() as database:
        await service.respond(ctx.change(database), id_)
    return f"you look after fault {id_}; its alarms are acknowledged"


@fault.command("note")
@click.argument("id_", type=int, metavar="ID")
@click.argument("text")
async def fault_note(ctx: Context, id_: int, text: str) -> str:
    """Write down what was found or done."""
    async with ctx.database() as database:
        await service.note(ctx.change(database), id_, text)
    return f"fault {id_} has the note"


@fault.command("recover")
@click.argument("id_", type=int, metavar="ID")
@click.option("--at", type=_Minute(), default=None, help="In China's time; now otherwise.")
async def fault_recover(ctx: Context, id_: int, at: datetime | None) -> str:
    """The trouble is over."""
    async with ctx.database() as database:
        await service.recover(ctx.change(database), id_, at or clock.now())
    return f"fault {id_} is recovered from; smsgwctl fault close {id_} closes it with its report"


@fault.command("count")
@click.argument("id_", type=int, metavar="ID")
@click.argument("reason")
@click.option("--no", "leave_out", is_flag=True, help="It is not one of the year's.")
async def fault_count(ctx: Context, id_: int, reason: str, leave_out: bool) -> str:
    """Say whether it is among the year's faults, and why."""
    async with ctx.database() as database:
        await service.count(ctx.change(database), id_, counts=not leave_out, reason=reason)
    return f"fault {id_} {'does not count' if leave_out else 'counts'} among the faults of its year"


@fault.command("close")
@click.argument("id_", type=int, metavar="ID")
@click.option("--cause", required=True)
@click.option("--done", required=True, help="What was done.")
@click.option("--prevention", default="", help="What keeps it from happening again.")
async def fault_close(ctx: Context, id_: int, cause: str, done: str, prevention: str) -> str:
    """Close it with its report."""
    async with ctx.database() as database:
        await service.close(ctx.change(database), id_, service.Findings(cause, done, prevention))
    return f"fault {id_} is closed"


@fault.command("year")
@click.argument("number", type=click.IntRange(queries.FIRST_YEAR, 2100), required=False, metavar="YEAR")
@json_option
async def fault_year(ctx: Context, number: int | None, as_json: bool) -> None:
    """What the faults of a year come to: how many of those that were promised, and availability."""
    async with ctx.database() as database:
        this = number or clock.now().astimezone(CHINA).year
        found = await queries.year(database, ctx.change(database).actor, this)
    line = {
        "year": found.year, "since": found.since, "until": found.until, "counted": found.counted, "most": found.most,
        "down_seconds": round(found.down.total_seconds()),
        "availability": None if found.availability is None else round(found.availability, 5),
        "responded_late": found.responded_late, "recovered_late": found.recovered_late,
    }  # fmt: skip
    print_json(line) if as_json else print_table([line], list(line), empty="")


@fault.command("timeline")
@click.option("--until", type=_Minute(), default=None, help="In China's time; now otherwise.")
@click.option("--minutes", type=click.IntRange(1, 43_200), default=1440, show_default=True)
@click.option("--source", "sources", type=click.Choice([one.value for one in timeline.Source]), multiple=True)
@json_option
async def fault_timeline(
    ctx: Context, until: datetime | None, minutes: int, sources: tuple[str, ...], as_json: bool
) -> None:
    """Alarms, changes of the configuration, nodes and their versions, and faults in one line of time."""
    end = until or clock.now()
    wanted = sources or tuple(one.value for one in timeline.Source)
    async with ctx.database() as database:
        actor = ctx.change(database).actor
        seen = await timeline.seen(database, actor, end - timedelta(minutes=minutes), end, wanted)
    named = labels_of("alarm")
    lines = [
        asdict(one) | {"source": one.source.value, "object": _told(one.title) or one.object, "title": _told(one.title),
                       "detail": _told(one.detail), "name": in_locale(named[one.kind]) if one.kind in named else ""}
        for one in seen.entries
    ]  # fmt: skip
    columns = ["at", "source", "what", "name", "object", "who", "detail"]
    print_rows(lines, columns, as_json, empty="nothing happened")

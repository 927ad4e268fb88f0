"""The fault register (P14.6; 故障登记): outages with their timers, what was found and done, and a report to print."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from smsgw.admin import words as all_words
from smsgw.admin.call import Call
from smsgw.admin.kit.details import Button, Detail, Past, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, Problem, read_id
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.monitoring import duty, fault_timeline
from smsgw.admin.rights import route
from smsgw.admin.views import china_time, duration
from smsgw.admin.words import faults as words, monitoring as alarm_words
from smsgw.admin.words.terms import TERMS
from smsgw.core import moments
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.core.words import spoken
from smsgw.platform.alarms.queries import ALARMS
from smsgw.platform.duty import roster
from smsgw.platform.faults import queries, service, timeline
from smsgw.platform.faults.model import (
    LEAST_TEXT,
    MOST_TEXT,
    MOST_TITLE,
    Fault,
    State,
    Step,
    Timer,
    title_of,
    title_said,
    titled,
)
from smsgw.platform.faults.queries import FAULTS, FaultFilter
from smsgw.platform.settings import service as settings
from smsgw.runtime import clock

PATH, YEAR, TIMELINE = "/faults", "/faults/year", fault_timeline.PATH
ONE = PATH + "/{id:[0-9]{1,19}}"
_NEW, _SETTINGS = f"{PATH}/-/new", f"{PATH}/-/times"
TABS = ((words.TAB_FAULTS, PATH), (words.TAB_YEAR, YEAR), (words.TAB_TIMELINE, TIMELINE))
MENU = Entry("monitoring.faults", PATH, Permission.ALARM_VIEW, lambda call: queries.not_closed(call.db, call.actor))
VIEW, HANDLE = Permission.ALARM_VIEW, Permission.ALARM_HANDLE
BEFORE, AFTER = timedelta(hours=1), timedelta(minutes=15)
"""Around a fault, what is shown of the line of time."""
MOST_SHOWN = 40

FILTER = Filter(
    (
        Field("state", FieldKind.CHOICE, "fault_state", choices=words.STATE),
        Field("severity", FieldKind.CHOICE, choices=alarm_words.SEVERITY),
        Field("counts", FieldKind.CHOICE, "fault_counts", choices=words.COUNTS),
        Field("title", label="fault_title", most=MOST_TITLE),
        Field("began", FieldKind.DAYS, "began_at", more=True),
    ),
    period=None,
)


def _kept(timer: Timer) -> str:
    return timer.state(clock.now()).value


COLUMNS = (
    Column("title", Cell.LONG, "fault_title", value=lambda one: one.name, phone=Phone.TITLE),
    Column("state", Cell.STATE, "fault_state", words=words.STATE, tones=words.STATE_TONE, sort=False,
           value=lambda one: one.state.value, phone=Phone.BESIDE),
    Column("severity", Cell.STATE, words=alarm_words.SEVERITY, tones=alarm_words.SEVERITY_TONE, phone=Phone.SECOND),
    Column("began_at", Cell.TIME, sort=True, phone=Phone.SECOND),
    Column("fault_lasted", Cell.SPAN, value=lambda one: one.recovery.took(clock.now()), phone=Phone.SECOND),
    Column("fault_response", Cell.STATE, words=words.KEPT, tones=words.KEPT_TONE,
           value=lambda one: _kept(one.response), phone=Phone.THIRD),
    Column("fault_recovery", Cell.STATE, words=words.KEPT, tones=words.KEPT_TONE,
           value=lambda one: _kept(one.recovery), phone=Phone.THIRD),
    Column("responded_by", Cell.WORD, words=words.WHO, value=lambda one: one.responded_name, phone=Phone.AWAY),
    Column("fault_counts", Cell.STATE, words=words.COUNTS, tones=words.COUNTS_TONE, phone=Phone.AWAY,
           value=lambda one: "yes" if one.counts else "no"),
)  # fmt: skip
_FACTS = (
    *(column for column in COLUMNS if column.key not in ("fault_response", "fault_recovery", "responded_by", "title")),
    Column("opened_at", Cell.TIME, "fault_opened"),
    Column("opened_by", Cell.WORD, "fault_opened_by", words=words.WHO, value=lambda one: one.opened_name),
)
_RECOVERED = (
    Column("recovered_at", Cell.TIME),
    Column("recovered_by", Cell.WORD, words=words.WHO, value=lambda one: one.recovered_name),
)
_WHY = (Column("why_not", Cell.LONG, "fault_why_not"),)
_REPORT = (Column("cause", Cell.LONG, "fault_cause"), Column("done", Cell.LONG, "fault_done"),
           Column("prevention", Cell.LONG, "fault_prevention"), Column("closed_at", Cell.TIME),
           Column("closed_by", value=lambda one: one.closed_name))  # fmt: skip


def _wanted(found: Found) -> FaultFilter:
    return FAULTS.filter_of(found.listed | {"title": titled(found.get("title"))})


def _who(call: Call, label: str) -> str:
    """Who did something; our own part of the program by what people call it."""
    return call.gettext(words.WHO[label]) if label in words.WHO else label


def _past(call: Call, steps: Sequence[Step]) -> list[Past]:
    term = TERMS["alarm_detail"]
    said = call.gettext(term)
    return [
        Past(one.at, call.gettext(words.STEP.get(one.kind, one.kind)), _who(call, one.name),
             [(said, spoken(one.said, call.language != "zh"))] if one.said else [])
        for one in steps
    ]  # fmt: skip


def _timers(call: Call, one: Fault) -> list[dict[str, str]]:
    """The two promises, for people: how each was kept and how long there is."""
    now, found = clock.now(), list[dict[str, str]]()
    for name, timer, who in (
        (words.RESPONSE, one.response, one.responded_name),
        (words.RECOVERY, one.recovery, one.recovered_name),
    ):
        state = timer.state(now).value
        left = timer.left(now)
        hint = {"running": words.TIME_LEFT, "over": words.TIME_OVER}.get(state, words.TIME_WAS)
        values = {"time": duration(abs(left), call.gettext), "by": china_time(timer.by, "%m-%d %H:%M")}
        found.append({
            "name": call.gettext(name), "state": call.gettext(words.KEPT[state]), "tone": words.KEPT_TONE[state],
            "took": duration(timer.took(now), call.gettext), "hint": call.filled(hint, values),
            "who": _who(call, who), "at": china_time(timer.at, "%m-%d %H:%M"),
        })  # fmt: skip
    return found


async def _around(call: Call, one: Fault) -> tuple[Sequence[fault_timeline.Line], str]:
    """What happened around it besides what was done about it, and where all of it is shown."""
    since, until = one.began_at - BEFORE, min((one.recovered_at or clock.now()) + AFTER, clock.now())
    seen = await timeline.seen(call.db, call.actor, since, until, [s.value for s in timeline.Source])
    others = [entry for entry in seen.entries if (entry.source, entry.id) != (timeline.Source.FAULT, one.id)]
    return fault_timeline.lines(call, others[:MOST_SHOWN]), fault_timeline.address(since, until)


async def _piece(call: Call, one: Fault) -> Mapping[str, Any]:
    lines, address = await _around(call, one)
    causes = [(cause, all_words.ALARM.get(cause.kind, cause.kind), cause.object.partition("/")[2])
              for cause in await queries.causes(call.db, one)]  # fmt: skip
    on_duty = duty.name_of(call, await roster.now(call.db, clock.now()))
    return {"on_duty": on_duty, "timers": _timers(call, one), "alarms": causes, "lines": lines, "address": address,
            "words": words}  # fmt: skip


async def _detail(call: Call, one: Fault) -> Detail:
    links, buttons = list[tuple[str, str]](), list[Button]()
    if call.may(HANDLE):
        place = f"{PATH}/{one.id}"
        if one.state is State.OPEN:
            buttons.append(Button(words.RESPOND, f"{PATH}/-/effect/respond", primary=True, asks=True,
                                  fields={"id": str(one.id), "to": place}))  # fmt: skip
        if one.state is not State.CLOSED:
            links += [(words.NOTE, f"{place}/note"), (words.RECOVER, f"{place}/recover")]
        if one.state is State.RECOVERED:
            links.append((words.CLOSE, f"{place}/close"))
        links.append((words.LEAVE_OUT if one.counts else words.COUNT, f"{place}/count"))
    links.append((words.REPORT, f"{PATH}/{one.id}/report"))
    sections = [Section((*_FACTS, *(_RECOVERED if one.recovered_at else ()), *(() if one.counts else _WHY)), one)]
    if one.state is State.CLOSED:
        sections.append(Section(_REPORT, one, words.REPORT))
    over = one.state is not State.CLOSED and "over" in (_kept(one.response), _kept(one.recovery))
    return Detail(
        one.name, sections, links=links, buttons=buttons, piece=("monitoring/fault.html", await _piece(call, one)),
        past=_past(call, await queries.steps(call.db, one)), notice=call.gettext(words.OVER_NOW) if over else "",
        good=False,
    )  # fmt: skip


async def _respond_effect(_: Call, rows: Sequence[Fault]) -> Effect:
    n = sum(one.state is State.OPEN for one in rows)
    return Effect(words.RESPOND_EFFECT, {"n": n}) if n else Effect(words.RESPOND_NONE, nothing=True)


PAGE = ListPage(
    "faults", PATH, "monitoring.faults", VIEW, FILTER, COLUMNS, detail=_detail, live=10,
    rows=lambda db, actor, found, window: FAULTS.search(db, actor, _wanted(found), window),
    count=lambda db, actor, found, most: FAULTS.count(db, actor, _wanted(found), most),
    one=FAULTS.get, lead=words.LEAD, tabs=TABS,
    actions=(Action("respond", words.RESPOND, HANDLE, lambda call, one: service.respond(call.change(), one.id),
                    _respond_effect),),
    links=((words.NEW, _NEW, HANDLE), (words.SETTINGS, _SETTINGS, Permission.SETTING_EDIT)),
    sort=Sort("fault_state"), empty=Empty(words.EMPTY, words.TEACH, words.NEW, _NEW, HANDLE, icon="heartbeat"),
)  # fmt: skip

# --- forms -----------------------------------------------------------------------------------------------------------

_WHEN = r"20[0-9]{2}-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]"


def _when(key: str, text: str) -> datetime:
    """A minute that somebody has typed, in China; one that is not over yet may be the present one."""
    try:
        at = moments.minute(text)
    except ValueError as exc:
        raise Wrong(key, Problem(words.WHEN_WRONG)) from exc
    now = clock.now()
    return now if now < at < now + timedelta(minutes=1) else at


def _typed(at: datetime) -> str:
    return china_time(at, "%Y-%m-%d %H:%M")


async def _now(_: Call) -> Any:
    return {"began_at": _typed(clock.now()), "severity": "critical"}


async def _open(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    draft = service.Draft(values["title"], values["severity"], _when("began_at", values["began_at"]))
    id_ = await service.open_(call.change(), draft)
    call.toast(call.gettext(words.OPENED))
    return call.redirect(f"{PATH}/{id_}")


NEW = FormPage(
    _NEW, HANDLE, words.NEW, words.SAVE,
    Form((Inputs((
        Input("title", label="fault_title", required=True, least=2, most=MOST_TITLE),
        Input("severity", InputKind.CHOICE, choices=alarm_words.SEVERITY, required=True),
        Input("began_at", help=words.BEGAN_HELP, pattern=_WHEN, problem=words.WHEN_WRONG, required=True),
    )),)), _open, lambda _: PATH, _now, values=lambda subject: subject, about=words.NEW_ABOUT,
)  # fmt: skip


async def _fault(call: Call) -> Fault | None:
    id_ = read_id(call.request.match_info["id"])
    return None if id_ is None else await FAULTS.get(call.db, call.actor, id_)


def _back(one: Fault) -> str:
    return f"{PATH}/{one.id}"


def _saved(call: Call, one: Fault, said: str) -> web.Response:
    call.toast(call.gettext(said))
    return call.redirect(_back(one))


async def _note(call: Call, one: Fault, values: Mapping[str, Any]) -> web.Response:
    await service.note(call.change(), one.id, values["said"])
    return _saved(call, one, words.NOTED)


ADD_NOTE = FormPage(
    f"{ONE}/note", HANDLE, words.NOTE, words.NOTE_SAVE,
    Form((Inputs((Input("said", InputKind.LINES, "fault_said", required=True, least=LEAST_TEXT, most=MOST_TEXT),)),)),
    _note, _back, _fault, lead=lambda one: one.name,
)  # fmt: skip


async def _recover(call: Call, one: Fault, values: Mapping[str, Any]) -> web.Response:
    at = _when("recovered_at", values["recovered_at"])
    if one.began_at - timedelta(minutes=1) < at < one.began_at:  # the same minute
        at = one.began_at
    await service.recover(call.change(), one.id, at)
    return _saved(call, one, words.RECOVERED)


RECOVER = FormPage(
    f"{ONE}/recover", HANDLE, words.RECOVER, words.RECOVER,
    Form((Inputs((Input("recovered_at", help=words.RECOVERED_AT_HELP, pattern=_WHEN, problem=words.WHEN_WRONG,
                        required=True),)),)), _recover, _back, _fault, about=words.RECOVER_ABOUT,
    lead=lambda one: one.name,
    values=lambda one: {"recovered_at": _typed(one.recovered_at or clock.now())},
)  # fmt: skip


async def _close_effect(call: Call, one: Fault, values: Mapping[str, Any]) -> Effect:
    now = clock.now()
    said = {
        name: f"{call.gettext(words.KEPT[timer.state(now).value])} {duration(timer.took(now), call.gettext)}"
        for name, timer in (("response", one.response), ("recovery", one.recovery))
    }
    counts = "yes" if one.counts else "no"
    return Effect(words.CLOSE_EFFECT, {**said, "counts": call.gettext(words.COUNTS[counts])})


async def _close(call: Call, one: Fault, values: Mapping[str, Any]) -> web.Response:
    found = service.Findings(values["cause"], values["done"], values["prevention"] or "")
    await service.close(call.change(), one.id, found)
    return _saved(call, one, words.CLOSED)


CLOSE = FormPage(
    f"{ONE}/close", HANDLE, words.CLOSE, words.CLOSE,
    Form((Inputs((
        Input("cause", InputKind.LINES, "fault_cause", required=True, least=LEAST_TEXT, most=MOST_TEXT),
        Input("done", InputKind.LINES, "fault_done", required=True, least=LEAST_TEXT, most=MOST_TEXT),
        Input("prevention", InputKind.LINES, "fault_prevention", most=MOST_TEXT),
    )),)), _close, _back, _fault, effect=_close_effect, lead=lambda one: one.name, about=words.CLOSE_ABOUT,
)  # fmt: skip


async def _count_effect(call: Call, one: Fault, _: Mapping[str, Any]) -> Effect:
    year = await queries.year(call.db, call.actor, one.began_at.astimezone(CHINA).year)
    then = year.counted + (-1 if one.counts else 1)
    return Effect(words.COUNT_EFFECT, {"now": year.counted, "then": then, "most": year.most})


async def _count(call: Call, one: Fault, values: Mapping[str, Any]) -> web.Response:
    await service.count(call.change(), one.id, counts=not one.counts, reason=values["reason"])
    return _saved(call, one, words.COUNTED)


COUNT = FormPage(
    f"{ONE}/count", HANDLE, words.COUNT, words.NOTE_SAVE,
    Form((Inputs((Input("reason", label="why_so", required=True, least=2, most=200),)),)), _count, _back, _fault,
    effect=_count_effect, lead=lambda one: one.name, about=words.COUNT_ABOUT,
)  # fmt: skip


async def _alarm(call: Call) -> Any:
    id_ = read_id(call.request.match_info["id"])
    return None if id_ is None or call.actor.scope.whole is not None else await ALARMS.get(call.db, call.actor, id_)


async def _of_alarm(call: Call, alarm: Any, _: Mapping[str, Any]) -> web.Response:
    id_ = await service.of_alarm(call.change(), alarm)
    call.toast(call.gettext(words.OPENED))
    return call.redirect(f"{PATH}/{id_}")


async def _of_alarm_effect(_: Call, __: Any, ___: Mapping[str, Any]) -> Effect:
    return Effect(words.OF_ALARM_ABOUT)


OF_ALARM = FormPage(
    PATH + "/-/of/{id:[0-9]{1,19}}", HANDLE, words.OF_ALARM, words.OF_ALARM, Form((Inputs(()),)), _of_alarm,
    lambda alarm: f"/alarms/{alarm.id}", _alarm, effect=_of_alarm_effect,
    lead=lambda alarm: title_said(title_of(alarm.kind, alarm.object)),
)  # fmt: skip

# --- promises --------------------------------------------------------------------------------------------------------

_LIMITS = ("fault_response_minutes", "fault_recovery_minutes", "faults_a_year", "fault_severity", "fault_after_minutes")


async def _limits(call: Call) -> Any:
    return call.portal.context.snapshots.current.settings


async def _set(call: Call, before: Any, values: Mapping[str, Any]) -> web.Response:
    wanted = {**values, "fault_severity": int(values["fault_severity"])}
    for name in _LIMITS:
        if wanted[name] != getattr(before, name):
            await settings.put(call.change(), name, wanted[name])
    call.toast(call.gettext(words.SETTINGS_SAVED))
    return call.redirect(PATH)


TIMES = FormPage(
    _SETTINGS, Permission.SETTING_EDIT, words.SETTINGS, words.NOTE_SAVE,
    Form((Inputs((
        Input("fault_response_minutes", InputKind.NUMBER, required=True, least=1, most=10_080),
        Input("fault_recovery_minutes", InputKind.NUMBER, required=True, least=1, most=43_200),
        Input("faults_a_year", InputKind.NUMBER, help=words.YEAR_MOST_HELP, required=True, least=0, most=1000),
        Input("fault_severity", InputKind.CHOICE, choices=words.AUTOMATIC, required=True),
        Input("fault_after_minutes", InputKind.NUMBER, help=words.AFTER_HELP, required=True, least=0, most=1440),
    )),)), _set, lambda _: PATH, _limits, about=words.SETTINGS_ABOUT,
    values=lambda one: {name: getattr(one, name) for name in _LIMITS} | {"fault_severity": str(one.fault_severity)},
)  # fmt: skip

# --- a year, and a report --------------------------------------------------------------------------------------------


@route("GET", YEAR, VIEW)
async def year(call: Call) -> web.StreamResponse:
    """What the faults of a year come to, and by which rule; nothing for who sees some accounts alone."""
    this = clock.now().astimezone(CHINA).year
    given = call.request.query.get("year", "")
    wanted = int(given) if re.fullmatch("[0-9]{4}", given) else this
    wanted = min(max(wanted, queries.FIRST_YEAR), this)
    found = await queries.year(call.db, call.actor, wanted)
    times = {"since": _typed(found.since), "until": _typed(found.until)}
    return call.render(
        "monitoring/fault_year.html", year=found, this=this, first=queries.FIRST_YEAR, words=words, path=YEAR,
        columns=[c for c in COLUMNS if c.key != "state"], tabs_of=TABS,
        rule=call.filled(words.RULE_AVAILABILITY, times),
    )  # fmt: skip


@route("GET", f"{ONE}/report", VIEW)
async def report(call: Call) -> web.StreamResponse:
    """All of a fault on paper."""
    one = await _fault(call)
    if one is None:
        raise web.HTTPNotFound
    await call.reads("faults.open", f"fault/{one.id}")
    piece = await _piece(call, one)
    return call.render(
        "monitoring/fault_report.html", one=one, piece=piece, words=words,
        facts_of=Section((*_FACTS, *(_RECOVERED if one.recovered_at else ()), *(() if one.counts else _WHY)), one),
        report_of=Section(_REPORT, one), past=_past(call, await queries.steps(call.db, one)),
    )  # fmt: skip

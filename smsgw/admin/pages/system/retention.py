"""Retention (P13.5, 数据保留与脱敏): what each class of data holds and until when, and the rules, by two persons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Button, Detail, Section
from smsgw.admin.kit.filters import Filter
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage, reason_of
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.rights import route
from smsgw.admin.words import retention as words
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.core.retention import CLASSES, FIVE_MONTHS, MOST_DAYS, Ages
from smsgw.platform.retention import queries, service
from smsgw.platform.retention.model import LEAST_REASON, MOST_REASON, Rule, State
from smsgw.runtime import clock

PATH, RULES = "/retention", "/retention/rules"
_NEW = f"{RULES}/-/new"
MENU = Entry("system.retention", PATH, Permission.SETTING_VIEW)
VIEW, EDIT = Permission.SETTING_VIEW, Permission.SETTING_EDIT
TABS = ((words.TAB_NOW, PATH), (words.TAB_RULES, RULES))


async def _coming(call: Call, ages: Ages) -> list[str]:
    """What rules of these ages would do at once, a line a class."""
    ages = ages.at_least(call.portal.context.least)  # as the run takes it
    found = await queries.coming(call.db, ages, clock.now().astimezone(CHINA).date())
    return [
        call.filled(
            words.COMING,
            {
                "class": call.gettext(words.CLASS[one.name]),
                "days": one.days,
                "rows": f"{one.rows:,}",
                "first": one.first,
                "last": one.last,
            },
        )
        for one in found
        if one.days
    ]


@route("GET", PATH, VIEW)
async def show(call: Call) -> web.StreamResponse:
    """What holds, how much there is, and what the next run does."""
    ages, kept = await queries.in_force(call.db), call.portal.context.retention
    whole = {
        "messages": kept.messages_days, "inbound": kept.mo_days, "pdus": kept.messages_days,
        "clicks": kept.messages_days,
        "events": kept.events_days, "audit": kept.audit_days,
    }  # fmt: skip
    return call.render(
        "system/retention.html", names=words, held=await queries.held(call.db), whole=whole, tabs=TABS, path=PATH,
        first={name: ages.of(name) for name in CLASSES}, on=any(map(ages.of, CLASSES)), ages=ages,
        coming=await _coming(call, ages), waiting=await queries.waiting(call.db), rules=RULES, new=_NEW,
        may=call.may(EDIT),
    )  # fmt: skip


# --- rules -----------------------------------------------------------------------------------------------------------


def _days(name: str) -> Column:
    return Column(f"{name}_days", Cell.NUMBER, phone=Phone.SECOND)


COLUMNS = (
    Column("asked_at", Cell.TIME, sort=True, phone=Phone.TITLE),
    Column("rule_state", Cell.STATE, words=words.STATE, tones=words.STATE_TONE, phone=Phone.BESIDE,
           value=lambda one: "holds" if one.holds else one.state),
    *map(_days, CLASSES),
    Column("texts_go", Cell.BOOL, value=lambda one: one.texts, phone=Phone.AWAY),
    Column("why_so", Cell.LONG, value=lambda one: one.reason, phone=Phone.THIRD),
    Column("asked_by", label="submitter", phone=Phone.AWAY),
    Column("decided_by", phone=Phone.AWAY), Column("decided_at", Cell.TIME, phone=Phone.AWAY),
    Column("answer", Cell.LONG, "lift_answer", shown=False, phone=Phone.AWAY),
)  # fmt: skip


async def _detail(call: Call, one: Rule) -> Detail:
    buttons: Sequence[Button] = ()
    if one.state == State.WAITING and call.may(EDIT):
        fields = {"id": str(one.id), "to": f"{RULES}/{one.id}"}
        reject = Button(words.REJECT, f"{RULES}/-/effect/reject", danger=True, fields=fields, asks=True)
        passing = Button(words.PASS, f"{RULES}/-/effect/pass", primary=True, fields=fields, asks=True)
        buttons = (reject,) if one.asked_by == call.actor.label else (passing, reject)
    return Detail(f"{one.asked_at.astimezone(CHINA):%Y-%m-%d %H:%M}", [Section(COLUMNS, one)], buttons=buttons)


def _action(key: str, label: str, *, passes: bool) -> Action:
    async def run(call: Call, one: Rule) -> None:
        await service.decide(call.change(), one.id, passes=passes, answer=await reason_of(call))

    async def told(call: Call, rows: Sequence[Rule]) -> Effect:
        if not passes:
            return Effect(words.REJECT_EFFECT, {"n": len(rows)})
        what = [line for row in rows[:1] for line in await _coming(call, row.ages)]
        if not what:
            return Effect(words.PASS_NOTHING)
        return Effect(words.PASS_EFFECT, {"what": call.gettext(words.JOIN).join(what)})

    return Action(key, label, EDIT, run, told, danger=True, reason=True)


PAGE = ListPage(
    "retention_rules", RULES, "system.retention", VIEW, Filter((), period=None), COLUMNS, detail=_detail,
    listing=queries.RETENTION_RULES,
    actions=(_action("pass", words.PASS, passes=True), _action("reject", words.REJECT, passes=False)),
    sort=Sort("asked_at"), lead=words.RULES_LEAD, tabs=TABS, links=((words.CHANGE, _NEW, EDIT),),
    empty=Empty(words.EMPTY, words.TEACHES, words.CHANGE, _NEW, EDIT),
)  # fmt: skip


def _field(name: str) -> Input:
    return Input(f"{name}_days", InputKind.NUMBER, help=words.DAYS_HELP[name], required=True, least=0, most=MOST_DAYS)


_FORM = Form((
    Inputs(tuple(map(_field, CLASSES))),
    Inputs((Input("texts", InputKind.SWITCH, "texts_go", words.TEXTS_HELP),
            Input("reason", label="why_so", required=True, least=LEAST_REASON, most=MOST_REASON))),
))  # fmt: skip


async def _subject(call: Call) -> Mapping[str, Any]:
    ages = await queries.in_force(call.db)
    return {f"{name}_days": ages.of(name) for name in CLASSES} | {"texts": ages.texts}


def _ages(values: Mapping[str, Any]) -> Ages:
    days = {f"{name}_days": int(values[f"{name}_days"]) for name in CLASSES}
    return Ages(**days, texts=bool(values.get("texts")))


async def _effect(call: Call, _: Any, values: Mapping[str, Any]) -> Effect:
    ages = _ages(values)
    service.check(ages, call.portal.context.least)
    days = ages.messages_days
    short = call.filled(words.SHORT, {"n": days}) if 0 < days < FIVE_MONTHS else ""
    what = await _coming(call, ages)
    if not what:
        return Effect(words.EFFECT_NOTHING, {"short": short})
    return Effect(words.EFFECT, {"what": call.gettext(words.JOIN).join(what), "short": short})


async def _save(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    id_ = await service.ask(call.change(), _ages(values), values["reason"], least=call.portal.context.least)
    call.toast(call.gettext(words.ASKED))
    return call.redirect(f"{RULES}/{id_}")


NEW = FormPage(
    _NEW, EDIT, words.CHANGE_TITLE, words.SEND, _FORM, _save, lambda _: RULES, _subject, values=lambda values: values,
    effect=_effect, about=words.ABOUT, danger=True,
)  # fmt: skip

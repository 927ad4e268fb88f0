"""Rules of alarms (P14.2; 告警规则): conditions, how long, how grave and who is told; exceptions for single objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from smsgw.admin import words as all_words
from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit.details import Detail, Past, Section
from smsgw.admin.kit.filters import Filter, read_id
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.monitoring.alarms import PATH, RULES, TABS
from smsgw.admin.words import monitoring as words, people as people_words
from smsgw.admin.words.terms import TERMS
from smsgw.core.alarm_rules import Value
from smsgw.core.alarms import about_of
from smsgw.core.permissions import Permission
from smsgw.core.words import labels_of
from smsgw.platform.alarms import rules
from smsgw.platform.alarms.model import MOST_RECEIVERS
from smsgw.platform.alarms.receivers import ALARM_RECEIVERS
from smsgw.platform.alarms.rules import Draft, Listed
from smsgw.platform.paging import Window

AS_FOUND = "as_found"
"""The severity of what is as grave as it is found to be."""
MENU = Entry("monitoring.rules", RULES, Permission.ALARM_VIEW)


def _source(one: Listed) -> str:
    return "except" if one.rule.object else "changed" if one.changed else "default"


COLUMNS = (
    Column("kind", Cell.WORD, "alarm_kind", words=all_words.ALARM, value=lambda one: one.rule.kind, sort=True,
           phone=Phone.TITLE),
    Column("rule_about", value=lambda one: about_of(one.rule.object), blank=words.ANY, phone=Phone.SECOND),
    Column("rule_condition", Cell.LONG, value=lambda one: one.rule.condition, phone=Phone.SECOND),
    Column("rule_after", Cell.NUMBER, value=lambda one: one.rule.after, phone=Phone.AWAY),
    Column("severity", Cell.STATE, words=words.RULE_SEVERITY, tones=words.RULE_SEVERITY_TONE, phone=Phone.THIRD,
           value=lambda one: one.rule.severity or AS_FOUND),
    Column("rule_receivers", Cell.TAGS, words=words.RULE_EVERYBODY, value=lambda one: one.receivers or ("",),
           phone=Phone.AWAY),
    Column("rule_state", Cell.STATE, words=words.RULE_ON, tones=words.RULE_ON_TONE, phone=Phone.BESIDE,
           value=lambda one: "on" if one.rule.on else "off"),
    Column("rule_changed", Cell.WORD, words=words.RULE_CHANGED, value=_source, phone=Phone.THIRD),
    Column("rule_fired", Cell.NUMBER, value=lambda one: one.fired, phone=Phone.AWAY,
           to=lambda one: f"{PATH}?kind={one.rule.kind}"),
    Column("changed_by", shown=False, phone=Phone.AWAY),
    Column("updated_at", Cell.TIME, value=lambda one: one.changed_at, shown=False, phone=Phone.AWAY),
)  # fmt: skip
_ADVICE = Column("advice", Cell.LONG, value=lambda one: labels_of("alarm_advice").get(one.rule.kind, ""))


async def _past(call: Call, one: Listed) -> list[Past]:
    """What it was, in the reader's language."""
    english, found = call.language != DEFAULT, list[Past]()
    terms = words.RULE_TERMS | {name: TERMS[unit_of(one.rule.kind, name)] for name in one.kind.values}
    for version in await rules.versions(call.db, one.id):
        facts = []
        for name, term in terms.items():
            if (value := version.said.get(name)) is None:
                continue
            text = call.gettext(words.RULE_SEVERITY[value or AS_FOUND]) if name == "severity" else f"{value}"
            if name == "on":
                state = "on" if value else "off"
                text = call.gettext(words.RULE_ON[state])
            elif name == "receivers":
                text = (", " if english else "、").join(value)
            facts.append((call.gettext(term), text))
        what = call.filled(words.RULE_VERSION, {"n": version.version}) if version.version else ""
        found.append(Past(version.at, what or call.gettext(words.RULE_FIRST), version.by, facts))
    return found


async def _detail(call: Call, one: Listed) -> Detail:
    links = []
    if call.may(Permission.ALARM_EDIT) and not one.kind.lasting:
        links.append((words.RULE_EDIT, f"{RULES}/{one.id}/edit"))
        if one.kind.apart:
            links.append((words.RULE_EXCEPT, f"{RULES}/{one.id}/except"))
    notice = call.gettext(words.RULE_LASTING) if one.kind.lasting else ""
    return Detail(call.gettext(all_words.ALARM[one.rule.kind]), [Section((*COLUMNS, _ADVICE), one)], links=links,
                  notice=notice, good=None, past=await _past(call, one))  # fmt: skip


async def _reset_effect(_: Call, rows: Sequence[Listed]) -> Effect:
    return Effect(words.RULE_RESET_EFFECT, {"n": len(rows)})


PAGE = ListPage(
    "alarm_rules", RULES, "monitoring.rules", Permission.ALARM_VIEW, Filter((), period=None), COLUMNS,
    rows=lambda db, actor, _, window: rules.search(db, actor, window),
    count=lambda db, actor, _, __: rules.how_many(db, actor),
    one=lambda db, actor, id_: rules.one(db, actor, id_), detail=_detail, tabs=TABS,
    sort=Sort("kind", descending=False), lead=words.RULES_LEAD, wide=True,
    actions=(Action("reset", words.RULE_RESET, Permission.ALARM_EDIT,
                    lambda call, one: rules.reset(call.change(), one.id), _reset_effect),),
    empty=Empty(words.RULES_EMPTY, words.RULES_TEACH, icon="bell"),
)  # fmt: skip

# --- forms -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A rule that is changed, or of which an exception is made."""

    listed: Listed
    apart: bool

    @property
    def excepts(self) -> bool:
        """It is, or becomes, an exception."""
        return self.apart or bool(self.listed.rule.object)


_UNITS: Mapping[str, str] = {
    **dict.fromkeys(("success_low", "rate_near", "unmatched_reports", "disk_filling"), "threshold_percent"),
    **dict.fromkeys(("queue_old", "report_late", "database_lag"), "threshold_seconds"),
    **dict.fromkeys(("writer_stalled", "loop_stalled"), "threshold_seconds"),
    **dict.fromkeys(("queue_long", "webhook_queue", "balance_low"), "threshold_messages"),
    "backup_old": "threshold_hours", "standby_low": "threshold_channels", "complaint_ceiling": "threshold_million",
}  # fmt: skip
"""The term for the threshold of a kind, with its unit."""
_LEAST = {"complaint_ceiling": "least_complaints", "unmatched_reports": "least_reports"}


def unit_of(kind: str, name: str) -> str:
    """The term for a number of a condition, with its unit."""
    if name == "threshold":
        return _UNITS[kind]
    return "window_minutes" if name == "minutes" else _LEAST.get(kind, "least_parts")


def _number(key: str, label: str, value: Value, *, setting: bool, help_: str = "") -> Input:
    return Input(key, InputKind.NUMBER, label, help=words.RULE_SETTING_HELP if setting else help_, required=True,
                 least=value.least, most=value.most)  # fmt: skip


def _form(_: Call, wanted: _Wanted) -> Form:
    kind = wanted.listed.kind
    fields = list[Input]()
    if wanted.apart:
        fields.append(Input("object", label="rule_about", required=True, most=rules.MOST_OBJECT,
                            help=words.RULE_OBJECT_HELP[kind.apart]))  # fmt: skip
    fields.append(Input("on", InputKind.SWITCH, "rule_on"))
    own = kind.own if wanted.excepts else kind.values.keys()
    fields += [
        _number(name, unit_of(wanted.listed.rule.kind, name), value, setting=bool(value.setting) and not wanted.excepts)
        for name, value in kind.values.items()
        if name in own
    ]
    fields.append(_number("after", "rule_after", kind.after, setting=bool(kind.after.setting) and not wanted.excepts,
                          help_=words.RULE_AFTER_HELP))  # fmt: skip
    choices = words.SEVERITY if kind.severity else words.RULE_SEVERITY
    fields += [
        Input("severity", InputKind.CHOICE, choices=choices, required=True,
              help="" if kind.severity else words.RULE_SEVERITY_HELP),
        Input("receivers", InputKind.CHOICES, "rule_receivers", help=words.RULE_RECEIVERS_HELP),
    ]  # fmt: skip
    return Form((Inputs(fields),))


def _values(wanted: _Wanted) -> Mapping[str, Any]:
    rule = wanted.listed.rule
    told = [str(id_) for id_ in rule.receivers or ()]
    return {"on": rule.on, "after": rule.after, "severity": rule.severity or AS_FOUND, "receivers": told, **rule.values}


async def _choices(call: Call, _: Any) -> Mapping[str, Mapping[str, str]]:
    found = await ALARM_RECEIVERS.search(call.db, call.actor, None, Window("name", False, limit=MOST_RECEIVERS))
    return {"receivers": {str(one.id): one.name for one in found.rows}}


def _draft(wanted: _Wanted, values: Mapping[str, Any]) -> Draft:
    kind = wanted.listed.kind
    own = kind.own if wanted.excepts else kind.values.keys()
    told = tuple(int(id_) for id_ in values["receivers"] or ())
    return Draft(values["on"], values["severity"].replace(AS_FOUND, ""), values["after"],
                 {name: values[name] for name in own}, told or None)  # fmt: skip


async def _effect(call: Call, wanted: _Wanted, values: Mapping[str, Any]) -> Effect:
    was = wanted.listed.rule
    after = rules.checked(was, _draft(wanted, values))
    then = await rules.how_often(call.db, was, after, values.get("object", was.object))
    numbers = {"now": wanted.listed.fired, "then": then}
    if not after.on:
        return Effect(words.RULE_EFFECT_OFF, numbers)
    if then is None:
        return Effect(words.RULE_EFFECT_UNKNOWN, numbers)
    return Effect(words.RULE_EFFECT_RAW if was.kind == "success_low" else words.RULE_EFFECT, numbers)


def _saved(call: Call) -> web.Response:
    call.toast(call.gettext(words.RULE_SAVED))
    return call.redirect(RULES)


async def _put(call: Call, wanted: _Wanted, values: Mapping[str, Any]) -> web.Response:
    await rules.put(call.change(), wanted.listed.id, _draft(wanted, values))
    return _saved(call)


async def _add(call: Call, wanted: _Wanted, values: Mapping[str, Any]) -> web.Response:
    await rules.except_(call.change(), wanted.listed.rule.kind, values["object"], _draft(wanted, values))
    return _saved(call)


async def _listed(call: Call) -> Listed | None:
    id_ = read_id(call.request.match_info["id"])
    return None if id_ is None else await rules.one(call.db, call.actor, id_)


async def _subject(call: Call) -> _Wanted | None:
    one = await _listed(call)
    return None if one is None or one.kind.lasting else _Wanted(one, False)


async def _general(call: Call) -> _Wanted | None:
    one = await _listed(call)
    return None if one is None or not one.kind.apart else _Wanted(one, True)


_ANY = Form((Inputs((Input("after", InputKind.NUMBER, "rule_after"),)),))
EDIT = FormPage(
    f"{RULES}/{{id:[0-9]{{1,19}}}}/edit", Permission.ALARM_EDIT, words.RULE_EDIT, people_words.SAVE, _ANY, _put,
    lambda wanted: f"{RULES}/{wanted.listed.id}", _subject, values=_values, choices=_choices, effect=_effect,
    form_of=_form, lead=lambda wanted: wanted.listed.heading,
)  # fmt: skip
EXCEPT = FormPage(
    f"{RULES}/{{id:[0-9]{{1,19}}}}/except", Permission.ALARM_EDIT, words.RULE_EXCEPT, people_words.SAVE, _ANY, _add,
    lambda wanted: f"{RULES}/{wanted.listed.id}", _general, values=_values, choices=_choices, effect=_effect,
    form_of=_form, lead=lambda wanted: wanted.listed.heading,
)  # fmt: skip

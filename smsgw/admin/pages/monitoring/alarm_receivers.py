"""Receivers of alarms (告警接收人): by message, mail, robot or webhook, tried out by a button."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import time
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Filter, Problem, read_id
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.people import account_choices
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.monitoring.alarms import NOTES, RECEIVERS, TABS
from smsgw.admin.words import (
    duty as duty_words,
    monitoring as words,
    people as people_words,
    statements as statement_words,
)
from smsgw.core.alarm_notes import Way
from smsgw.core.permissions import Permission
from smsgw.platform.alarms import receivers
from smsgw.platform.alarms.model import MOST_AFTER, MOST_SECRET, Draft, Receiver
from smsgw.platform.alarms.receivers import ALARM_RECEIVERS

COLUMNS = (
    Column("name", sort=True, phone=Phone.TITLE),
    Column("note_way", Cell.WORD, words=words.WAY, value=lambda one: one.kind, phone=Phone.SECOND),
    Column("note_to", value=lambda one: one.shown, phone=Phone.SECOND),
    Column("note_account", value=lambda one: one.account or ""),
    Column("note_level", Cell.WORD, words=words.LEVEL, phone=Phone.THIRD,
           value=lambda one: "critical" if one.critical_only else "all"),
    Column("after_minutes", Cell.NUMBER, shown=False, phone=Phone.AWAY),
    Column("on_duty", Cell.BOOL, phone=Phone.AWAY),
    Column("quiet_hours", value=lambda one: one.quiet, shown=False),
    Column("language", Cell.WORD, words=statement_words.LANGUAGE, shown=False, phone=Phone.AWAY),
    Column("receiver_state", Cell.STATE, words=words.ACTIVE, tones=words.ACTIVE_TONE, phone=Phone.BESIDE,
           value=lambda one: "active" if one.active else "stopped"),
    Column("changed_by", shown=False, phone=Phone.AWAY),
    Column("updated_at", Cell.TIME, value=lambda one: one.changed_at, shown=False, phone=Phone.AWAY),
)  # fmt: skip


async def _detail(call: Call, one: Receiver) -> Detail:
    links = [(words.TAB_NOTES, f"{NOTES}?receiver={one.id}")]
    if call.may(Permission.ALARM_EDIT):
        links.insert(0, (words.RECEIVER_EDIT, f"{RECEIVERS}/{one.id}/edit"))
    return Detail(one.name, [Section(COLUMNS, one)], links=links)


def _effect(text: str) -> Any:
    async def tell(_: Call, rows: Sequence[Receiver]) -> Effect:
        return Effect(text, {"n": len(rows)})

    return tell


async def _test_effect(_: Call, rows: Sequence[Receiver]) -> Effect:
    n = sum(one.active for one in rows)
    return Effect(words.TEST_EFFECT, {"n": n}) if n else Effect(words.TEST_NONE, nothing=True)


LIST = ListPage(
    "alarm_receivers", RECEIVERS, "monitoring.alarm_receivers", Permission.ALARM_VIEW, Filter((), period=None), COLUMNS,
    listing=ALARM_RECEIVERS, detail=_detail, tabs=TABS,
    sort=Sort("name", descending=False), lead=words.RECEIVERS_LEAD,
    links=tuple((words.ADD[way], f"{RECEIVERS}/-/new/{way}", Permission.ALARM_EDIT) for way in Way),
    actions=(
        Action("test", words.TEST, Permission.ALARM_EDIT,
               lambda call, one: receivers.test(call.change(), one.id), _test_effect),
        Action("start", words.START, Permission.ALARM_EDIT,
               lambda call, one: receivers.switch(call.change(), one.id, active=True), _effect(words.START_EFFECT)),
        Action("stop", words.STOP, Permission.ALARM_EDIT,
               lambda call, one: receivers.switch(call.change(), one.id, active=False), _effect(words.STOP_EFFECT)),
        Action("remove", words.REMOVE, Permission.ALARM_EDIT,
               lambda call, one: receivers.remove(call.change(), one.id), _effect(words.REMOVE_EFFECT), danger=True),
    ),
    empty=Empty(words.RECEIVERS_EMPTY, words.RECEIVERS_TEACH, words.ADD["mail"], f"{RECEIVERS}/-/new/mail",
                Permission.ALARM_EDIT, icon="bell"),
)  # fmt: skip

# --- forms -----------------------------------------------------------------------------------------------------------

_TIME = "([01][0-9]|2[0-3]):[0-5][0-9]"
_NAME = Input("name", required=True, most=60)
_REST = (Input("critical_only", InputKind.SWITCH),
         Input("after_minutes", InputKind.NUMBER, help=words.AFTER_HELP, required=True, least=0, most=MOST_AFTER),
         Input("quiet_from", help=words.QUIET_HELP, pattern=_TIME, problem=words.QUIET_WRONG),
         Input("quiet_to", pattern=_TIME, problem=words.QUIET_WRONG),
         Input("language", InputKind.CHOICE, choices=statement_words.LANGUAGE, required=True))  # fmt: skip
_DUTY = Input("on_duty", InputKind.SWITCH, help=duty_words.ON_DUTY_HELP)
_ADDRESS = {
    Way.SMS: (Input("account", InputKind.CHOICE, "note_account", required=True),
              Input("address", InputKind.PHONE, "note_phone", required=True), _DUTY),
    Way.MAIL: (Input("address", InputKind.EMAIL, "email", required=True), _DUTY),
    Way.WECOM: (Input("address", InputKind.SECRET, "note_url", required=True, most=2000),),
    Way.DINGTALK: (Input("address", InputKind.SECRET, "note_url", required=True, most=2000),
                   Input("secret", InputKind.SECRET, "note_secret", help=words.SEC_HELP, most=MOST_SECRET)),
    Way.WEBHOOK: (Input("address", InputKind.SECRET, "note_hook", required=True, most=2000),
                  Input("secret", InputKind.SECRET, "note_secret", help=words.SECRET_HELP, required=True,
                        most=MOST_SECRET)),
}  # fmt: skip


def _saved(call: Call) -> web.Response:
    call.toast(call.gettext(words.RECEIVER_SAVED))
    return call.redirect(RECEIVERS)


def _quiet(values: Mapping[str, Any]) -> tuple[time, time] | None:
    given = values["quiet_from"], values["quiet_to"]
    if bool(given[0]) != bool(given[1]):
        raise Wrong("quiet_to" if given[0] else "quiet_from", Problem(words.QUIET_WRONG))
    return (time.fromisoformat(given[0]), time.fromisoformat(given[1])) if given[0] else None


def _new(way: Way) -> FormPage:
    async def save(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
        account = int(values["account"]) if values.get("account") else None
        draft = Draft(values["name"], way, values["address"], values.get("secret"), account, values["critical_only"],
                      values["language"], values["after_minutes"], _quiet(values),
                      bool(values.get("on_duty")))  # fmt: skip
        context = call.portal.context
        await receivers.add(call.change(), context.sealer, draft, context.reach)
        return _saved(call)

    return FormPage(
        f"{RECEIVERS}/-/new/{way}", Permission.ALARM_EDIT, words.ADD[way], people_words.SAVE,
        Form((Inputs((_NAME, *_ADDRESS[way], *_REST)),)), save, lambda _: RECEIVERS, choices=account_choices,
        values=lambda _: {"language": "zh", "after_minutes": 0}, about=words.ADD_ABOUT[way],
    )  # fmt: skip


async def _subject(call: Call) -> Receiver | None:
    id_ = read_id(call.request.match_info["id"])
    return None if id_ is None else await ALARM_RECEIVERS.get(call.db, call.actor, id_)


async def _change(call: Call, one: Receiver, values: Mapping[str, Any]) -> web.Response:
    draft = Draft(one.name if not values["name"] else values["name"], Way(one.kind), values["address"] or None,
                  values["secret"] or None, None, values["critical_only"], values["language"],
                  values["after_minutes"], _quiet(values), bool(values.get("on_duty")))  # fmt: skip
    context = call.portal.context
    await receivers.put(call.change(), context.sealer, one.id, draft, context.reach)
    return _saved(call)


SMS, MAIL, WECOM, DINGTALK, WEBHOOK = (_new(way) for way in Way)
EDIT = FormPage(
    f"{RECEIVERS}/{{id:[0-9]{{1,19}}}}/edit", Permission.ALARM_EDIT, words.RECEIVER_EDIT, people_words.SAVE,
    Form((Inputs((
        _NAME, Input("address", InputKind.SECRET, "note_to", help=words.KEPT, most=2000),
        Input("secret", InputKind.SECRET, "note_secret", help=words.KEPT, most=MOST_SECRET), _DUTY, *_REST,
    )),)), _change, lambda _: RECEIVERS, _subject, lead=lambda one: one.name,
    values=lambda one: {
        "name": one.name, "on_duty": one.on_duty, "critical_only": one.critical_only, "language": one.language,
        "after_minutes": one.after_minutes, "quiet_from": f"{one.quiet_from:%H:%M}" if one.quiet_from else "",
        "quiet_to": f"{one.quiet_to:%H:%M}" if one.quiet_to else "",
    },
)  # fmt: skip

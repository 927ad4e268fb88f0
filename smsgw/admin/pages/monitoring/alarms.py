"""Alarms (P14.3; 告警记录): what is wrong and since when, what was, and who looks after it."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from smsgw.admin import words as all_words
from smsgw.admin.call import Call
from smsgw.admin.kit.details import Button, Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.monitoring import duty
from smsgw.admin.words import faults as fault_words, monitoring as words
from smsgw.core.alarm_rules import LASTING
from smsgw.core.alarms import about_of
from smsgw.core.permissions import Permission
from smsgw.core.words import labels_of
from smsgw.platform.alarms import service
from smsgw.platform.alarms.queries import ALARMS, Alarm, unattended
from smsgw.platform.duty import roster
from smsgw.platform.faults import queries as faults
from smsgw.runtime import clock

PATH, RULES, RECEIVERS = "/alarms", "/alarms/rules", "/alarms/receivers"
NOTES, SILENCES = "/alarms/notes", "/alarms/silences"
TABS = ((words.TAB_ALARMS, PATH), (words.TAB_RULES, RULES), (words.TAB_RECEIVERS, RECEIVERS), (words.TAB_NOTES, NOTES),
        (words.TAB_SILENCES, SILENCES))  # fmt: skip
MENU = Entry("monitoring.alarms", PATH, Permission.ALARM_VIEW, lambda call: unattended(call.db, call.actor))
FILTER = Filter(
    (
        Field("state", FieldKind.CHOICE, "alarm_state", choices=words.STATE),
        Field("kind", FieldKind.CHOICE, "alarm_kind", choices=all_words.ALARM),
        Field("severity", FieldKind.CHOICE, choices=words.SEVERITY),
        Field("object"),
        Field("since", FieldKind.DAYS, "raised_since", more=True),
    ),
    period=None,
)


def _state(alarm: Alarm) -> str:
    if alarm.cleared_at is not None:
        return "unwatched" if alarm.unwatched else "cleared"
    return "open" if alarm.acked_at is None else "taken"


COLUMNS = (
    Column("kind", Cell.WORD, "alarm_kind", words=all_words.ALARM, phone=Phone.TITLE),
    Column("severity", Cell.STATE, words=words.SEVERITY, tones=words.SEVERITY_TONE, phone=Phone.SECOND),
    Column("object", value=lambda one: about_of(one.object), phone=Phone.SECOND),
    Column("detail", Cell.LONG, "alarm_detail", phone=Phone.SECOND),
    Column("state", Cell.STATE, "alarm_state", sort=True, value=_state, words=words.ENDED, tones=words.STATE_TONE,
           phone=Phone.BESIDE),
    Column("acked_by", phone=Phone.THIRD),
    Column("since", Cell.TIME, "raised_since", sort=True),
    Column("cleared_at", Cell.TIME, shown=False, phone=Phone.AWAY),
)  # fmt: skip
_ADVICE = Column("advice", Cell.LONG, value=lambda one: labels_of("alarm_advice").get(one.kind, ""))
_DUTY = Column("duty_now", value=lambda name: name)
_MORE = (Column("alarm_object", Cell.CODE, value=lambda one: one.object),
         Column("last", Cell.TIME, "last_raised"), Column("count", Cell.NUMBER, "raised"),
         Column("acked_at", Cell.TIME))  # fmt: skip


async def _detail(call: Call, one: Alarm) -> Detail:
    buttons = []
    if call.may(Permission.ALARM_HANDLE) and _state(one) == "open":
        fields = {"id": str(one.id), "to": f"{PATH}/{one.id}"}
        buttons = [Button(words.ACKNOWLEDGE, f"{PATH}/-/effect/ack", primary=True, fields=fields, asks=True)]
    links = []
    hushable = one.cleared_at is None and one.kind not in LASTING
    if hushable and call.may(Permission.ALARM_HANDLE) and call.actor.scope.whole is None:
        links = [(words.SILENCE, f"{SILENCES}/-/new?{urlencode({'kind': one.kind, 'object': one.object})}")]
    if call.actor.scope.whole is None:
        fault = await faults.of_alarm(call.db, one.id)
        if fault is not None:
            links.append((fault_words.SEE_FAULT, f"/faults/{fault}"))
        elif call.may(Permission.ALARM_HANDLE):
            links.append((fault_words.OF_ALARM, f"/faults/-/of/{one.id}"))
    return Detail(call.gettext(all_words.ALARM.get(one.kind, one.kind)), [
        Section((*COLUMNS, _ADVICE, *_MORE), one),
        Section((_DUTY,), duty.name_of(call, await roster.now(call.db, clock.now()))),
    ],
                  buttons=buttons, links=links)  # fmt: skip


async def _effect(call: Call, rows: Sequence[Alarm]) -> Effect:
    cleared = sum(one.cleared_at is not None for one in rows)
    taken = sum(_state(one) == "taken" and one.acked_by != call.actor.label for one in rows)
    text = words.ACKNOWLEDGE_TAKEN_EFFECT if taken or cleared else words.ACKNOWLEDGE_EFFECT
    return Effect(text, {"n": len(rows) - cleared, "taken": taken, "cleared": cleared})


PAGE = ListPage(
    "alarms", PATH, "monitoring.alarms", Permission.ALARM_VIEW, FILTER, COLUMNS, detail=_detail, live=5,
    listing=ALARMS,
    actions=(Action("ack", words.ACKNOWLEDGE, Permission.ALARM_HANDLE, effect=_effect,
                    run=lambda call, one: service.acknowledge(call.change(), [one.id])),),
    lead=words.LEAD, tabs=TABS, sort=Sort("state"), empty=Empty(words.EMPTY, words.TEACHES, icon="bell"),
)  # fmt: skip

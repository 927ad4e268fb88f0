"""Silence of alarms (告警静默): of what nobody is told for a time, why, and until when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from aiohttp import web

from smsgw.admin import words as all_words
from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Filter
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.monitoring.alarms import SILENCES, TABS
from smsgw.admin.words import monitoring as words, people as people_words
from smsgw.core.alarm_rules import LASTING
from smsgw.core.alarms import about_of
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.platform.alarms import silences
from smsgw.platform.alarms.silences import ALARM_SILENCES, LEAST_REASON, MOST_REASON, Silence
from smsgw.runtime import clock

_NEW = f"{SILENCES}/-/new"
COLUMNS = (
    Column("silence_kind", Cell.WORD, words=all_words.ALARM, value=lambda one: one.kind, blank=words.ANY,
           phone=Phone.TITLE),
    Column("silence_object", value=lambda one: about_of(one.object), blank=words.ANY, phone=Phone.SECOND),
    Column("silence_state", Cell.STATE, words=words.HOLDS, tones=words.HOLDS_TONE, phone=Phone.BESIDE,
           value=lambda one: "holds" if one.holds else "over"),
    Column("silence_until", Cell.TIME, value=lambda one: one.until, sort=True, phone=Phone.SECOND),
    Column("why_so", Cell.LONG, value=lambda one: one.reason, phone=Phone.THIRD), Column("made_by"),
    Column("made_at", Cell.TIME),
)  # fmt: skip


async def _detail(call: Call, one: Silence) -> Detail:
    return Detail(call.gettext(all_words.ALARM.get(one.kind, words.ANY)), [Section(COLUMNS, one)])


async def _end_effect(_: Call, rows: Sequence[Silence]) -> Effect:
    n = sum(one.holds for one in rows)
    return Effect(words.END_EFFECT, {"n": n}) if n else Effect(words.END_NONE, nothing=True)


PAGE = ListPage(
    "alarm_silences", SILENCES, "monitoring.alarm_silences", Permission.ALARM_VIEW, Filter((), period=None), COLUMNS,
    listing=ALARM_SILENCES, detail=_detail, tabs=TABS, sort=Sort("silence_until"),
    lead=words.SILENCES_LEAD, links=((words.SILENCE_NEW, _NEW, Permission.ALARM_HANDLE),),
    actions=(Action("end", words.END, Permission.ALARM_HANDLE,
                    lambda call, one: silences.end(call.change(), one.id), _end_effect),),
    empty=Empty(words.SILENCES_EMPTY, words.SILENCES_TEACH, words.SILENCE_NEW, _NEW, Permission.ALARM_HANDLE,
                icon="bell"),
)  # fmt: skip
_FORM = Form((Inputs((
    Input("kind", InputKind.CHOICE, "silence_kind", help=words.KIND_HELP,
          choices={kind: name for kind, name in all_words.ALARM.items() if kind not in LASTING}),
    Input("object", label="silence_object", help=words.OBJECT_HELP, most=200),
    Input("minutes", InputKind.CHOICE, "silence_for", choices=words.SILENT_FOR, required=True),
    Input("reason", label="why_so", required=True, least=LEAST_REASON, most=MOST_REASON),
)),))  # fmt: skip


async def _proposed(call: Call) -> dict[str, str]:
    """What the page of an alarm leads here with."""
    given = call.request.query
    return {"kind": given.get("kind", ""), "object": given.get("object", "")[:200], "minutes": "60"}


async def _effect(call: Call, _: Any, values: Mapping[str, Any]) -> Effect:
    kind = call.gettext(all_words.ALARM.get(values["kind"] or "", words.ANY))
    until = (clock.now() + timedelta(minutes=int(values["minutes"]))).astimezone(CHINA)
    told = {"kind": kind, "object": values["object"] or call.gettext(words.ANY), "until": f"{until:%m-%d %H:%M}"}
    return Effect(words.SILENCE_EFFECT, told)


async def _save(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    until = clock.now() + timedelta(minutes=int(values["minutes"]))
    await silences.add(call.change(), values["kind"] or "", values["object"], until, values["reason"])
    call.toast(call.gettext(words.SILENCED))
    return call.redirect(SILENCES)


NEW = FormPage(
    _NEW, Permission.ALARM_HANDLE, words.SILENCE_NEW, people_words.SAVE, _FORM, _save, lambda _: SILENCES, _proposed,
    values=lambda values: values, effect=_effect, about=words.SILENCES_LEAD,
)  # fmt: skip

"""Screens on walls (大屏): which show the board without a person, for how long, and their end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Filter
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.monitoring.board import SCREENS, TABS, WALL
from smsgw.admin.words import board as words
from smsgw.core.permissions import Permission
from smsgw.platform.walls import queries, service
from smsgw.platform.walls.queries import Screen

_NEW = f"{SCREENS}/-/new"
COLUMNS = (
    Column("screen_name", value=lambda one: one.name, phone=Phone.TITLE),
    Column("screen_state", Cell.STATE, words=words.SCREEN_STATE, tones=words.SCREEN_TONE, value=lambda one: one.state,
           phone=Phone.BESIDE),
    Column("screen_until", Cell.TIME, value=lambda one: one.until, phone=Phone.SECOND),
    Column("screen_seen", Cell.TIME, value=lambda one: one.seen_at, phone=Phone.THIRD),
    Column("screen_ip", value=lambda one: one.seen_ip or "", phone=Phone.THIRD), Column("made_by"),
    Column("made_at", Cell.TIME, sort=True),
    Column("screen_ended_by", value=lambda one: one.ended_by, shown=False, phone=Phone.AWAY),
)  # fmt: skip


async def _detail(_: Call, one: Screen) -> Detail:
    return Detail(one.name, [Section(COLUMNS, one)])


async def _effect(_: Call, rows: Sequence[Screen]) -> Effect:
    n = sum(one.state != "over" for one in rows)
    return Effect(words.END_EFFECT, {"n": n}) if n else Effect(words.END_NONE, nothing=True)


PAGE = ListPage(
    "screens", SCREENS, "monitoring.dashboard", Permission.WALL_EDIT, Filter((), period=None), COLUMNS, tabs=TABS,
    listing=queries.SCREENS, detail=_detail, sort=Sort("made_at"),
    lead=words.SCREENS_LEAD, links=((words.SCREEN_NEW, _NEW, Permission.WALL_EDIT),),
    actions=(Action("end", words.END, Permission.WALL_EDIT, lambda call, one: service.end(call.change(), one.id),
                    _effect, danger=True),),
    empty=Empty(words.SCREENS_EMPTY, words.SCREENS_TEACH, words.SCREEN_NEW, _NEW, Permission.WALL_EDIT,
                icon="device-desktop"),
)  # fmt: skip
_FORM = Form((Inputs((
    Input("name", label="screen_name", required=True, most=service.MOST_NAME, help=words.NAME_HELP),
    Input("hours", InputKind.CHOICE, "screen_for", choices=words.SCREEN_FOR, required=True, help=words.FOR_HELP),
)),))  # fmt: skip


async def _save(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    made = await service.add(call.change(), values["name"], timedelta(hours=int(values["hours"])))
    return call.render("monitoring/screen_code.html", made=made, back=SCREENS, wall=f"{call.site.origin}{WALL}")


NEW = FormPage(
    _NEW, Permission.WALL_EDIT, words.SCREEN_NEW, words.SCREEN_NEW, _FORM, _save, lambda _: SCREENS,
    values=lambda _: {"hours": "24"}, about=words.SCREENS_LEAD,
)  # fmt: skip

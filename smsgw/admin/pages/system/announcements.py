"""Announcements (公告管理): what the platform's administrators tell everybody, roles or departments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Filter, Period, Problem
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import role_name
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.words import notices as words
from smsgw.core.permissions import Permission as P
from smsgw.platform.notices import queries, service
from smsgw.platform.org import queries as org
from smsgw.runtime import clock

MENU = Entry("system.notices", "/announcements", P.NOTICE_EDIT)
COLUMNS = (
    Column("title", phone=Phone.TITLE),
    Column("audience", Cell.WORD, words=words.AUDIENCE),
    Column("told", Cell.NUMBER, phone=Phone.AWAY),
    Column("read", Cell.NUMBER, "read_by", phone=Phone.AWAY),
    Column("published_at", Cell.TIME, sort=True, phone=Phone.SECOND),
    Column("until", Cell.TIME, "expires_at", phone=Phone.AWAY),
    Column("published_by", label="publisher", phone=Phone.AWAY),
    Column("state", Cell.STATE, "status", words=words.STATE, tones=words.STATE_TONE, phone=Phone.BESIDE),
)
_CONTENT = Column("content", Cell.LONG)
_FORM = Form((Inputs((
    Input("title", required=True, most=service.MOST_TITLE),
    Input("content", InputKind.LINES, required=True, most=service.MOST_CONTENT),
    Input("audience", InputKind.CHOICE, required=True, choices=words.AUDIENCE),
    Input("roles", InputKind.CHOICES, "role"), Input("departments", InputKind.CHOICES, "department"),
    Input("days", InputKind.NUMBER, "days_shown", help=words.DAYS_HELP, required=True, least=1, most=365),
)),))  # fmt: skip


async def _choices(call: Call, _: Any) -> Mapping[str, Mapping[str, str]]:
    found = await org.departments(call.db, call.actor.scope)
    departments = {str(one.id): one.name for one in found}
    if service.may_reach(call.actor, "all", ()):
        roles = {str(role.id): role_name(call, role) for role in await org.roles(call.db)}
        return {"departments": departments, "roles": roles}
    only = words.AUDIENCE["departments"]
    return {"departments": departments, "audience": {"departments": call.gettext(only)}}


def _targets(values: Mapping[str, Any]) -> list[int]:
    for key in ("roles", "departments"):
        if key == values["audience"] and not values[key]:
            raise Wrong(key, Problem(words.CHOOSE_TARGETS))
    return [int(one) for one in values.get(values["audience"], ())]


async def _reach(call: Call, _: Any, values: Mapping[str, Any]) -> Effect:
    targets = _targets(values)
    if await service.reaches_beyond(call.db, call.actor, values["audience"], targets):
        raise Wrong("departments", Problem(words.REACHES_BELOW))
    n = await service.reached(call.db, call.actor, values["audience"], targets)
    return Effect(words.PUBLISH_EFFECT, {"n": n})


async def _publish(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    targets, until = _targets(values), clock.now() + timedelta(days=values["days"])
    await service.publish(
        call.change(), values["title"], values["content"], audience=values["audience"], targets=targets, until=until
    )
    call.toast(call.gettext(words.PUBLISHED))
    return call.redirect("/announcements")


async def _first(call: Call) -> str:
    return "all" if service.may_reach(call.actor, "all", ()) else "departments"


NEW = FormPage(
    "/announcements/-/new", P.NOTICE_EDIT, words.PUBLISH, words.SEND, _FORM, _publish, lambda _: "/announcements",
    subject=_first, values=lambda audience: {"audience": audience, "days": 7}, choices=_choices, effect=_reach,
)  # fmt: skip


async def _detail(_: Call, notice: queries.Notice) -> Detail:
    return Detail(notice.title, [Section((*COLUMNS[1:], _CONTENT), notice)])


async def _withdrawn(_: Call, rows: Sequence[queries.Notice]) -> Effect:
    return Effect(words.WITHDRAW_EFFECT, {"n": len(rows)})


PAGE = ListPage(
    "announcements", "/announcements", "system.notices", P.NOTICE_EDIT, Filter((), Period("30d")), COLUMNS,
    rows=lambda db, actor, found, window: queries.published(
        db, actor.scope, window, from_time=found.times[0], to_time=found.times[1]
    ),
    one=lambda db, actor, id_: queries.notice(db, actor.scope, id_), detail=_detail, sort=Sort("published_at"),
    links=((words.PUBLISH, "/announcements/-/new", P.NOTICE_EDIT),),
    actions=(Action("withdraw", words.WITHDRAW, P.NOTICE_EDIT,
                    lambda call, notice: service.withdraw(call.change(), notice.id), _withdrawn, danger=True),),
    empty=Empty(words.NOTICES_EMPTY, words.NOTICES_TEACH, words.PUBLISH, "/announcements/-/new", icon="speakerphone"),
)  # fmt: skip

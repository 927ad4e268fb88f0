"""Inbound records (P8.3; 上行记录): what phones have sent, what it answers, and what has become of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, Period
from smsgw.admin.kit.lists import Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.tables import Column, Kind, Phone, Sort
from smsgw.admin.words import records as words
from smsgw.core.numbers import mask
from smsgw.core.permissions import Permission
from smsgw.platform.messages import inbound
from smsgw.platform.messages.inbound import InboundView

MENU = Entry("records.inbound", "/inbound", Permission.INBOUND_VIEW)
_choice = partial(Field, kind=FieldKind.CHOICE)
FILTER = Filter(
    (
        _choice("account"), Field("phone", FieldKind.PHONE, "number"),
        _choice("outcome", label="became", choices=words.OUTCOME), _choice("pushed", choices=words.PUSHED),
        _choice("channel", more=True), Field("code", label="to_code", hint="beginning", more=True),
        Field("extension", more=True), Field("answers", FieldKind.ID, hint="message_id", more=True),
    ),
    Period("7d"),
)  # fmt: skip
_away = partial(Column, phone=Phone.AWAY)
COLUMNS = (
    Column("received_at", Kind.TIME, sort=True), Column("number", Kind.PHONE, phone=Phone.TITLE),
    Column("content", Kind.LONG, permission=Permission.MESSAGE_READ, phone=Phone.SECOND),
    Column("outcome", Kind.STATE, "became", words=words.OUTCOME, tones=words.OUTCOME_TONE, phone=Phone.BESIDE),
    Column("account", value=lambda one: one.account_name), _away("channel", value=lambda one: one.channel_name),
    _away("to_code", Kind.CODE), _away("extension", Kind.CODE),
    _away("answers", Kind.LINK, permission=Permission.MESSAGE_VIEW,
          value=lambda one: (str(one.answers), f"/records/{one.answers}") if one.answers else None),
    _away("pushed", Kind.STATE, words=words.PUSHED, tones=words.PUSHED_TONE),
    _away("pushed_at", Kind.TIME, shown=False), _away("parts", Kind.NUMBER, shown=False),
    _away("complete", Kind.BOOL, shown=False), _away("id", Kind.CODE, shown=False),
)  # fmt: skip


async def _choices(call: Call) -> Mapping[str, Mapping[str, str]]:
    channels = call.portal.context.snapshots.current.channels
    return {"account": own_accounts(call), "channel": {str(c.id): c.name for c in channels}}


def _wanted(found: Found) -> inbound.Wanted:
    values: dict[str, Any] = dict(found.values)
    values |= {key: int(values[key]) for key in ("account", "channel") if key in values}
    return inbound.Wanted(*found.times, **values)


async def _detail(call: Call, one: InboundView) -> Detail:
    columns = [c for c in COLUMNS if c.permission is None or call.may(c.permission)]
    links = [(words.TRACE, f"/records/{one.answers}")] if one.answers and call.may(Permission.MESSAGE_VIEW) else []
    if one.opt_out and call.may(Permission.BLOCK_VIEW):
        links.append((words.OPT_OUT, f"/optouts/{one.opt_out}"))
    return Detail(mask(one.number), [Section(columns, one)], links=links)


PAGE = ListPage(
    "inbound", "/inbound", "records.inbound", Permission.INBOUND_VIEW, FILTER, COLUMNS, choices=_choices,
    rows=lambda db, actor, found, window: inbound.search(db, actor, _wanted(found), window),
    count=lambda db, actor, found, most: inbound.how_many(db, actor, _wanted(found), most),
    one=lambda db, actor, id_: inbound.one(db, actor, id_), detail=_detail, sort=Sort("received_at"), wide=True,
    lead=words.INBOUND_LEAD, export=Permission.INBOUND_EXPORT, whole="inbound",
    empty=Empty(words.INBOUND_EMPTY, words.INBOUND_TEACHES),
)  # fmt: skip

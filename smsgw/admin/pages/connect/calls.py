"""Analysis of interfaces (P11.4, 接口分析): how calls end by key and code, and the refused ones with what was sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from smsgw.admin.call import Call
from smsgw.admin.kit.charts import Chart, ChartKind, Series
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, Period
from smsgw.admin.kit.lists import Empty, ListPage, Report
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import account_choices, not_by_person
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.words import calls as words
from smsgw.admin.words.trying import REPLAY
from smsgw.core.actor import Actor
from smsgw.core.errors import Recorded
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.platform.calls import queries
from smsgw.platform.calls.queries import ListedRefusal, WantedCalls
from smsgw.platform.handles import Database
from smsgw.platform.paging import Slice, Window

CALLS, REFUSED = "/calls", "/calls/refused"
MENU = Entry("connect.calls", CALLS, Permission.KEY_VIEW)
TABS = ((words.TAB_CALLS, CALLS), (words.TAB_REFUSED, REFUSED))
FIELDS = (Field("account", FieldKind.CHOICE), Field("key_id"), Field("answer_code"))
OK = "OK"
_REFUSED = ("red", "orange", "purple", "yellow", "azure", "secondary")
MOST_SERIES = len(_REFUSED)


def _wanted(found: Found) -> WantedCalls:
    account = int(found.get("account")) if found.get("account") else None
    return WantedCalls(*found.times, account, found.get("key_id"), found.get("answer_code").upper())


def _address(found: Found, row: Mapping[str, Any]) -> str:
    """The refused calls that a row counts, as far as they are kept."""
    if row["code"] == OK:
        return ""
    time = {key: found.state[key] for key in ("time", "from", "to") if key in found.state}
    asked = {"time": found.preset} | time | {"key_id": row["key_id"], "answer_code": row["code"]}
    return f"{REFUSED}?{urlencode(asked)}"


async def _groups(db: Database, actor: Actor, found: Found, window: Window) -> Slice[dict[str, Any]]:
    got = await queries.groups(db, _wanted(found), window, accounts=actor.scope.whole)
    rows = [(n, dict(row)) for n, row in got.rows]
    return Slice([{**row, "id": n, "address": _address(found, row)} for n, row in rows], got.keys, got.more)


async def _count(db: Database, actor: Actor, found: Found, most: int) -> int:
    _, groups = await queries.total(db, _wanted(found), accounts=actor.scope.whole)
    return min(groups, most + 1)


async def _sums(db: Database, actor: Actor, found: Found) -> dict[str, Any]:
    n, _ = await queries.total(db, _wanted(found), accounts=actor.scope.whole)
    blank = dict.fromkeys(("account", "key_id", "call", "code", "ms", "ms_most", "last_at", "last_request"))
    return {**blank, "address": "", "n": n}


def _step(first: datetime, until: datetime) -> timedelta:
    """So that a chart has some dozens."""
    return timedelta(hours=1) if until - first > timedelta(days=1) else timedelta(minutes=15)


async def _chart(call: Call, found: Found) -> Chart:
    wanted, say = _wanted(found), call.gettext
    rows = await queries.steps(call.db, wanted, _step(*found.times), accounts=call.actor.scope.whole)
    times = sorted({row["at"] for row in rows})
    counts = {(row["at"], row["code"]): row["n"] for row in rows}
    all_ = Counter[str]()
    for row in rows:
        all_[row["code"]] += row["n"]
    codes = [code for code, _ in all_.most_common(MOST_SERIES)]
    refused = sum(n for code, n in all_.items() if code != OK)
    tones = {OK: "green"} | dict(zip((code for code in codes if code != OK), _REFUSED, strict=False))
    return Chart(
        say(words.CHART), ChartKind.STACK, [f"{at.astimezone(CHINA):%m-%d %H:%M}" for at in times],
        [Series(code, [counts.get((at, code), 0) for at in times], tones[code]) for code in codes],
        summary=call.filled(words.SUMMARY, {"n": f"{all_.total():,}", "refused": f"{refused:,}"}),
    )  # fmt: skip


_code = Column("answer_code", Cell.CODE, value=lambda row: row["code"], phone=Phone.BESIDE)
_call = Column("api_call", Cell.CODE, value=lambda row: row["call"])
PAGE = ListPage(
    "calls", CALLS, "connect.calls", Permission.KEY_VIEW, Filter(FIELDS, Period("today", 4)),
    (
        Column("key_id", Cell.CODE, phone=Phone.TITLE), Column("account", phone=Phone.SECOND), _call, _code,
        Column("calls", Cell.NUMBER, value=lambda row: row["n"], sort=True, to=lambda row: row["address"],
               phone=Phone.SECOND),
        Column("call_ms", Cell.SPAN, phone=Phone.AWAY,
               value=lambda row: None if row["ms"] is None else timedelta(milliseconds=row["ms"])),
        Column("call_ms_most", Cell.SPAN, phone=Phone.AWAY,
               value=lambda row: None if row["ms_most"] is None else timedelta(milliseconds=row["ms_most"])),
        Column("last_call_at", Cell.TIME, value=lambda row: row["last_at"], phone=Phone.AWAY),
        Column("last_request", Cell.CODE, phone=Phone.AWAY),
    ),
    rows=_groups, count=_count, choices=account_choices, sort=Sort("calls"), lead=words.LEAD, tabs=TABS,
    notice=not_by_person, wide=True, report=Report(_sums, _chart), empty=Empty(words.EMPTY, words.TEACHES),
)  # fmt: skip

_COLUMNS = (
    Column("time", Cell.TIME, value=lambda row: row.at, sort=True, phone=Phone.SECOND),
    Column("key_id", Cell.CODE, phone=Phone.TITLE), Column("account", phone=Phone.AWAY),
    replace(_call, value=lambda row: row.call), replace(_code, value=lambda row: row.code),
    Column("answer_detail", Cell.LONG, value=lambda row: Recorded(row.code, row.detail, row.detail_en)),
    Column("request_id", Cell.CODE, phone=Phone.AWAY),
    Column("http_status", Cell.NUMBER, value=lambda r: r.status, phone=Phone.AWAY, shown=False),
    Column("address", phone=Phone.AWAY),
)  # fmt: skip
_MORE = (
    Column("call_ms", Cell.SPAN, value=lambda row: timedelta(milliseconds=row.ms)),
    Column("proven", Cell.BOOL),
    Column("sent_body", Cell.CODE, value=lambda row: row.body),
)


async def _detail(call: Call, row: ListedRefusal) -> Detail:
    links = [(REPLAY, f"/debug?refused={row.id}")] if call.may(Permission.KEY_EDIT) else []
    return Detail(row.request_id, [Section((*_COLUMNS, *_MORE), row)], links=links)


REFUSALS = ListPage(
    "refused_calls", REFUSED, "connect.calls", Permission.KEY_VIEW, Filter(FIELDS, Period("today", 4)), _COLUMNS,
    listing=queries.REFUSALS, detail=_detail, choices=account_choices, sort=Sort("time"), lead=words.REFUSED_LEAD,
    notice=not_by_person, tabs=TABS, wide=True, empty=Empty(words.REFUSED_EMPTY, words.TEACHES),
)  # fmt: skip

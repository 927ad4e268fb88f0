"""Saved segments (P4.1, 效果人群): who has clicked, answered, was never reached, found anew whenever they are used."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Button, Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, read_id
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.audience.contacts import SEGMENTS, SHARING, TABS, department_choices, sharing
from smsgw.admin.views import china_time
from smsgw.admin.words import audience as words
from smsgw.admin.words.compose import SEGMENT
from smsgw.admin.words.lists import JOIN
from smsgw.core.errors import Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.audience import book, saved
from smsgw.platform.audience.model import MOST_DAYS, SavedSegment, Segment, SegmentKind, Shared
from smsgw.platform.audience.saved import WantedSegments
from smsgw.platform.drafts import service as drafts
from smsgw.platform.drafts.model import Kind as Sends, Source, State
from smsgw.platform.paging import Slice, Window

MOST_COUNTED = 3
"""At a time: each may take a minute or two."""
_ONE = f"{SEGMENTS}/{{id:[0-9]{{1,19}}}}"
FILTER = Filter(
    (Field("name", label="segment_name"), Field("kind", FieldKind.CHOICE, "segment_kind", SEGMENT),
     Field("account", FieldKind.CHOICE), Field("shared", FieldKind.CHOICE, "used_by", words.SHARED)),
    period=None,
)  # fmt: skip


def _task(one: SavedSegment) -> tuple[str, str] | None:
    id_ = one.segment.task_id
    return None if id_ is None else (f"#{id_}", f"/tasks/{id_}")


def _link(one: SavedSegment) -> tuple[str, str] | None:
    id_ = one.segment.link_id
    return None if id_ is None else (f"#{id_}", f"/short-links/{id_}")


COLUMNS = (
    Column("name", label="segment_name", sort=True, phone=Phone.TITLE),
    Column(
        "kind", Cell.WORD, "segment_kind", words=SEGMENT, value=lambda one: one.segment.kind.value, phone=Phone.BESIDE
    ),
    Column("days", Cell.NUMBER, "segment_days", value=lambda one: one.segment.days, phone=Phone.AWAY),
    Column("counted", Cell.NUMBER, "segment_count", phone=Phone.SECOND, permission=Permission.MESSAGE_VIEW),
    Column("counted_at", Cell.TIME, phone=Phone.SECOND, permission=Permission.MESSAGE_VIEW),
    Column("task", Cell.LINK, "segment_task", value=_task, phone=Phone.AWAY, permission=Permission.TASK_VIEW),
    Column("link", Cell.LINK, "segment_link", value=_link, phone=Phone.AWAY, permission=Permission.LINK_VIEW),
    Column("account", phone=Phone.SECOND),
    Column("shared", Cell.STATE, "used_by", words=words.SHARED, tones=words.SHARED_TONE, phone=Phone.AWAY),
    Column("owner", label="created_by", phone=Phone.AWAY),
    Column("at", Cell.TIME, "created_at", sort=True, value=lambda one: one.created_at, shown=False, phone=Phone.AWAY),
)
_MORE = (Column("department", label="shared_with"),)


def _wanted(found: Found) -> WantedSegments:
    account = int(found.get("account")) if found.get("account") else None
    return WantedSegments(found.get("name"), account, found.get("kind"), found.get("shared"))


async def _rows(db: Any, actor: Any, found: Found, window: Window) -> Slice[SavedSegment]:
    return await saved.search(db, actor, _wanted(found), window)


async def _choices(call: Call, _: Any = None) -> Mapping[str, Mapping[str, str]]:
    return {"account": own_accounts(call), "department": await department_choices(call)}


async def _detail(call: Call, one: SavedSegment) -> Detail:
    own = call.may(Permission.CONTACT_EDIT) and book.manages(call.actor, one)
    links = [(words.SEGMENT_EDIT, f"{SEGMENTS}/{one.id}/edit")] if own else []
    about = words.SEGMENT_COUNTED if one.counted_at is not None else words.SEGMENT_UNCOUNTED
    asked = {"id": str(one.id), "to": f"{SEGMENTS}/{one.id}"}
    buttons = [
        Button(action.label, f"{SEGMENTS}/-/effect/{action.key}", action.danger, fields=asked, asks=True)
        for action in (SEND, COUNT)
        if call.may(action.permission)
    ]
    sections = [Section((*COLUMNS[1:], *_MORE), one)]
    return Detail(one.name, sections, buttons=buttons, links=links, notice=call.gettext(about), good=None)


async def _count(call: Call, rows: Sequence[SavedSegment]) -> str:
    if len(rows) > MOST_COUNTED:
        raise Refused("STATE_CONFLICT", reason=phrase("segment.counted", most=MOST_COUNTED))
    for one in rows:
        await saved.count(call.db, call.actor, one)
    call.toast(call.gettext(words.SEGMENT_COUNT_DONE))
    return f"{SEGMENTS}/{rows[0].id}" if len(rows) == 1 else SEGMENTS


async def _count_effect(call: Call, rows: Sequence[SavedSegment]) -> Effect:
    if len(rows) > MOST_COUNTED:
        return Effect(words.SEGMENT_COUNT_MANY, {"most": MOST_COUNTED}, nothing=True)
    return Effect(words.SEGMENT_COUNT_EFFECT, {"n": len(rows), "names": _names(call, rows)})


async def _send(call: Call, rows: Sequence[SavedSegment]) -> str:
    """A new sending to one of them, which begins with its text."""
    if len(rows) != 1:
        raise Refused("STATE_CONFLICT", reason=phrase("segment.one"))
    (one,) = rows
    state = State(account=str(one.account_id), source=Source.SEGMENT.value, segment="", segment_saved=str(one.id))
    draft = await drafts.begin(call.change(), secrets.token_urlsafe(18), Sends.SAME, state, ())
    return f"/send/{draft.id}/content"


async def _send_effect(call: Call, rows: Sequence[SavedSegment]) -> Effect:
    if len(rows) != 1:
        return Effect(words.SEGMENT_ONE)
    (one,) = rows
    if one.counted is None or one.counted_at is None:
        return Effect(words.SEGMENT_SEND_UNCOUNTED, {"name": one.name})
    at = china_time(one.counted_at, "%Y-%m-%d %H:%M")
    return Effect(words.SEGMENT_SEND_EFFECT, {"name": one.name, "n": f"{one.counted:,}", "at": at})


async def _remove_effect(call: Call, rows: Sequence[SavedSegment]) -> Effect:
    return Effect(words.SEGMENT_REMOVE_EFFECT, {"n": len(rows), "names": _names(call, rows)})


def _names(call: Call, rows: Sequence[SavedSegment]) -> str:
    return call.gettext(JOIN).join(one.name for one in rows[:5])


SEND = Action("send", words.CONTACT_SEND, Permission.MESSAGE_SEND, _send, _send_effect, goes=True)
COUNT = Action("count", words.SEGMENT_COUNT, Permission.MESSAGE_VIEW, _count, _count_effect, goes=True)
PAGE = ListPage(
    "segments", SEGMENTS, "audience.contacts", Permission.CONTACT_VIEW, FILTER, COLUMNS, choices=_choices,
    detail=_detail, rows=_rows, count=lambda db, actor, found, most: saved.how_many(db, actor, _wanted(found), most),
    one=lambda db, actor, id_: saved.one(db, actor, id_), sort=Sort("at"), lead=words.SEGMENTS_LEAD, tabs=TABS,
    actions=(
        SEND, COUNT,
        Action("remove", words.CONTACT_REMOVE, Permission.CONTACT_EDIT,
               lambda call, one: saved.remove(call.change(), one.id), _remove_effect, danger=True),
    ),
    links=((words.SEGMENT_NEW, f"{SEGMENTS}/-/new", Permission.CONTACT_EDIT),),
    empty=Empty(words.SEGMENTS_EMPTY, words.SEGMENTS_TEACH, words.SEGMENT_NEW, f"{SEGMENTS}/-/new",
                Permission.CONTACT_EDIT, icon="users"),
)  # fmt: skip

# --- changes ---------------------------------------------------------------------------------------------------------

_ASKED = (
    Input("name", label="segment_name", required=True, most=64),
    Input("kind", InputKind.CHOICE, "segment_kind", words.SEGMENT_KIND_HELP, required=True, choices=SEGMENT),
    Input("days", InputKind.NUMBER, "segment_days", words.SEGMENT_DAYS_HELP, required=True, least=1, most=MOST_DAYS),
    Input("task", InputKind.ID, "segment_task", words.SEGMENT_TASK_HELP),
    Input("link", InputKind.ID, "segment_link", words.SEGMENT_LINK_HELP),
)
_NEW = Form((Inputs((Input("account", InputKind.CHOICE, required=True), *_ASKED)), Inputs(SHARING)))
_EDIT = Form((Inputs(_ASKED), Inputs(SHARING)))


def _segment(values: Mapping[str, Any]) -> Segment:
    task, link = (int(values[key]) if values[key] else None for key in ("task", "link"))
    return Segment(SegmentKind(values["kind"]), int(values["days"]), task, link)


async def _done(call: Call, id_: int) -> web.Response:
    """On to its page."""
    call.toast(call.gettext(words.CONTACT_SAVED))
    return call.redirect(f"{SEGMENTS}/{id_}")


async def _add(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    account = int(values["account"])
    return await _done(call, await saved.add(call.change(), account, values["name"], _segment(values), sharing(values)))


async def _own(call: Call) -> SavedSegment | None:
    id_ = read_id(call.request.match_info["id"])
    one = None if id_ is None else await saved.one(call.db, call.actor, id_)
    return one if one is not None and book.manages(call.actor, one) else None


async def _put(call: Call, one: SavedSegment, values: Mapping[str, Any]) -> web.Response:
    await saved.put(call.change(), one.id, values["name"], _segment(values), sharing(values))
    return await _done(call, one.id)


def _values(one: SavedSegment) -> Mapping[str, Any]:
    asked = one.segment
    return {
        "name": one.name, "kind": asked.kind.value, "days": asked.days, "task": asked.task_id, "link": asked.link_id,
        "scope": one.shared, "department": one.department_id,
    }  # fmt: skip


ADD = FormPage(
    f"{SEGMENTS}/-/new", Permission.CONTACT_EDIT, words.SEGMENT_NEW, words.CONTACT_SAVE, _NEW, _add, lambda _: SEGMENTS,
    choices=_choices,
    values=lambda _: {"kind": SegmentKind.NOT_CLICKED.value, "days": 90, "scope": Shared.ACCOUNT.value},
)  # fmt: skip
EDIT = FormPage(
    f"{_ONE}/edit", Permission.CONTACT_EDIT, words.SEGMENT_EDIT, words.CONTACT_SAVE, _EDIT, _put,
    lambda one: f"{SEGMENTS}/{one.id}", _own, _values, _choices, lead=lambda one: one.name,
)  # fmt: skip

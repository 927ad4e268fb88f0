"""Message centre (P1.2): announcements, alarms, results of one's jobs, and what has happened to one's login."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, Period, read_id
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.rights import route
from smsgw.admin.words import notices as words
from smsgw.core.actor import Actor
from smsgw.core.alarms import about_of
from smsgw.core.permissions import Permission
from smsgw.core.words import Wording
from smsgw.platform.handles import Database
from smsgw.platform.notices import queries, service
from smsgw.platform.notices.queries import Told
from smsgw.platform.paging import Slice, Window

MENU = Entry("home.notices", "/notices", Permission.SELF_EDIT, lambda call: queries.unread(call.db, call.actor))
FILTER = Filter((Field("kind", FieldKind.CHOICE, choices=words.KIND),
                 Field("read", FieldKind.CHOICE, "status", choices=words.READ)), Period("30d"))  # fmt: skip
_ABOUT: Mapping[str, Callable[[str], str | Wording]] = {
    "alarm": about_of, "sign": words.about_sign, "contract": words.about_contract,
    "balance": partial(words.about_use, "balance"), "quota": partial(words.about_use, "quota"),
}  # fmt: skip
COLUMNS = (
    Column("subject", Cell.WORD, "topic", value=lambda t: t.title or f"{t.kind}.{t.word}", words=words.SUBJECT,
           phone=Phone.TITLE),
    Column("detail", Cell.WORD, value=lambda t: _ABOUT.get(t.kind, str)(t.detail), words=words.DETAIL,
           phone=Phone.SECOND),
    Column("kind", Cell.STATE, words=words.KIND, tones=words.KIND_TONE),
    Column("at", Cell.TIME, "time", sort=True),
    Column("read", Cell.STATE, "status", value=lambda t: "yes" if t.read_at else "no", words=words.READ,
           tones=words.READ_TONE, phone=Phone.BESIDE),
)  # fmt: skip
_CONTENT = (Column("content", Cell.LONG),)
_PLACES = {
    "job": "/jobs/{}", "security": "/me/security", "alarm": "/alarms/{}", "task": "/tasks/{}", "sign": "/signs/{}",
    "inbound": "/inbound/{}", "contract": "/accounts/{}", "balance": "/accounts/{}", "quota": "/accounts/{}",
}  # fmt: skip
_NEEDS = dict.fromkeys(("contract", "balance", "quota"), Permission.ACCOUNT_VIEW)
"""Rights to a place that not everybody who is told has."""


async def _rows(db: Database, actor: Actor, found: Found, window: Window) -> Slice[Told]:
    first, last = found.times
    read = {"yes": True, "no": False}.get(found.get("read"))
    return await queries.search(db, actor, window, from_time=first, to_time=last, kind=found.get("kind"), read=read)


async def _detail(call: Call, told: Told) -> Detail:
    sections = [Section(COLUMNS[1:4], told), *([Section(_CONTENT, told)] if told.content else [])]
    place = "/accounts" if told.subject < 0 else _PLACES.get(told.kind, "").format(told.subject)
    opens = told.kind in _PLACES and (told.kind not in _NEEDS or call.may(_NEEDS[told.kind]))
    links = [(words.OPEN[told.kind], place)] if opens else []
    subject = COLUMNS[0].of(told)
    opened = "/notices/-/opened" if told.read_at is None else ""
    return Detail(call.gettext(words.SUBJECT.get(subject, subject)), sections, links=links, opened=opened)


async def _effect(_: Call, rows: Sequence[Told]) -> Effect:
    return Effect(words.MARK_EFFECT, {"n": len(rows)})


@route("POST", "/notices/-/opened", Permission.SELF_EDIT, passive=True)
async def opened(call: Call) -> web.StreamResponse:
    """The page of one says that it is open: a link changes nothing by itself, programs follow links, too."""
    id_ = read_id(str((await call.request.post()).get("id", "")))
    if id_ is None:
        raise web.HTTPBadRequest
    await service.read(call.change(), [id_])
    return web.Response(status=204)


@route("POST", "/notices/-/read", Permission.SELF_EDIT)
async def read_all(call: Call) -> web.StreamResponse:
    """All of it was read."""
    call.toast(call.filled(words.MARKED, {"n": await service.read_all(call.change())}))
    return call.redirect("/notices")


PAGE = ListPage(
    "inbox", "/notices", "home.notices", Permission.SELF_EDIT, FILTER, COLUMNS, rows=_rows, one=queries.get,
    detail=_detail, sort=Sort("at"), live=15, buttons=((words.MARK_ALL, "read", Permission.SELF_EDIT),),
    actions=(Action("mark", words.MARK, Permission.SELF_EDIT,
                    lambda call, told: service.read(call.change(), [told.id]), _effect),),
    empty=Empty(words.EMPTY, words.TEACHES, icon="bell"),
)  # fmt: skip

"""Evidence of results (U16, 回执存证): the root of each day, and the verification of all of it."""

from __future__ import annotations

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.filters import Filter, Found, Period
from smsgw.admin.kit.lists import Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.rights import route
from smsgw.admin.words import lists as words
from smsgw.core.actor import Actor
from smsgw.core.permissions import Permission
from smsgw.platform.evidence import queries, verification
from smsgw.platform.evidence.queries import RootView
from smsgw.platform.handles import Database
from smsgw.platform.paging import Slice, Window

MENU = Entry("system.evidence", "/evidence", Permission.AUDIT_VIEW)
COLUMNS = (
    Column("day", sort=True, phone=Phone.TITLE), Column("leaves", Cell.NUMBER, "evidence_leaves", phone=Phone.BESIDE),
    Column("root", Cell.HASH, "evidence_root", phone=Phone.SECOND), Column("made_at", Cell.TIME, "created_at"),
)  # fmt: skip


async def _rows(db: Database, _: Actor, found: Found, window: Window) -> Slice[RootView]:
    return await queries.search(db, window, *found.times)


@route("POST", "/evidence/-/verify", Permission.AUDIT_VIEW)
async def verify(call: Call) -> web.StreamResponse:
    """Have all of it verified; the job shows how far it is, and what was found."""
    id_ = await verification.begin(call.change(), node=call.portal.context.node)
    call.portal.context.jobs.set()
    return call.redirect(f"/jobs/{id_}" if id_ else "/jobs", **({} if id_ else {"kind": verification.NAME}))


PAGE = ListPage(
    "evidence", "/evidence", "system.evidence", Permission.AUDIT_VIEW, Filter((), Period("30d")), COLUMNS, rows=_rows,
    sort=Sort("day"), lead=words.EVIDENCE_LEAD,
    buttons=((words.VERIFY, "verify", Permission.AUDIT_VIEW),),
    empty=Empty(words.EVIDENCE_EMPTY, words.EVIDENCE_TEACHES),
)  # fmt: skip

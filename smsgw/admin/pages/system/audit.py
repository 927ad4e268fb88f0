"""The audit log (P13.4): who did what, from where, with the values before and after, and whether its chain holds."""

from __future__ import annotations

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section, differences
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, Period
from smsgw.admin.kit.lists import Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.rights import route
from smsgw.admin.words import lists as words
from smsgw.admin.words.audit import action_words, actions_called, object_words
from smsgw.core.permissions import Permission
from smsgw.platform.audit import queries, verification
from smsgw.platform.audit.queries import ENTRIES, AuditFilter

MENU = Entry("system.audit", "/audit", Permission.AUDIT_VIEW)
FILTER = Filter(
    (
        Field("actor"), Field("action", hint="action"), Field("object", hint="object"),
        Field("address", FieldKind.ADDRESS, hint="address"),
    ),
    Period("7d"),
)  # fmt: skip
COLUMNS = (
    Column("at", Cell.TIME, "time", sort=True, phone=Phone.BESIDE),
    Column("actor", Cell.USER, value=lambda e: (e.name, e.actor), phone=Phone.TITLE),
    Column("action", Cell.USER, value=lambda e: action_words(e.action), phone=Phone.SECOND),
    Column("object", Cell.USER, value=lambda e: object_words(e.object)),
    Column("address", phone=Phone.AWAY),
    Column("sealed", Cell.BOOL, shown=False, phone=Phone.AWAY),
)


def _filter(found: Found) -> AuditFilter:
    """What is typed for an action can be its name as well."""
    action = found.get("action")
    return AuditFilter(**found.listed | {"action": (action, actions_called(action))})


async def _detail(_: Call, entry: queries.Entry) -> Detail:
    return Detail(action_words(entry.action)[0], [Section(COLUMNS, entry)], differences(entry.before, entry.after))


@route("POST", "/audit/-/verify", Permission.AUDIT_VIEW)
async def verify(call: Call) -> web.StreamResponse:
    """Have the chain verified; its job shows what was found."""
    id_ = await verification.begin(call.change(), node=call.portal.context.node)
    call.portal.context.jobs.set()
    return call.redirect(f"/jobs/{id_}" if id_ else "/jobs", **({} if id_ else {"kind": verification.NAME}))


PAGE = ListPage(
    "audit", "/audit", "system.audit", Permission.AUDIT_VIEW, FILTER, COLUMNS,
    rows=lambda db, actor, found, window: ENTRIES.search(db, actor, _filter(found), window),
    count=lambda db, actor, found, most: ENTRIES.count(db, actor, _filter(found), most),
    one=ENTRIES.get, detail=_detail, sort=Sort("at"), export=Permission.AUDIT_EXPORT,
    buttons=((words.VERIFY, "verify", Permission.AUDIT_VIEW),),
    empty=Empty(words.AUDIT_EMPTY, words.AUDIT_TEACHES),
)  # fmt: skip

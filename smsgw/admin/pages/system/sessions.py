"""Sessions (P13.2, 在线会话): who is logged in, from where and with what; ended by the security administrator."""

from __future__ import annotations

from collections.abc import Sequence

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.words import login as words
from smsgw.core.permissions import Permission
from smsgw.platform.org import service
from smsgw.platform.org.model import ListedSession
from smsgw.platform.org.queries import SESSIONS

MENU = Entry("system.sessions", "/sessions", Permission.SECURITY_VIEW)
FILTER = Filter(
    (
        Field("person", hint="person"), Field("address", FieldKind.ADDRESS, hint="address"),
        Field("agent", hint="agent"), Field("created_at", FieldKind.DAYS, "logged_in_at"),
    ),
    period=None,
)  # fmt: skip
COLUMNS = (
    Column("person", Cell.USER, sort=True, value=lambda s: (s.name, s.login), phone=Phone.TITLE),
    Column("department", phone=Phone.SECOND),
    Column("device", Cell.DEVICE, value=lambda s: s.agent, phone=Phone.THIRD),
    Column("address", phone=Phone.BESIDE),
    Column("factors", Cell.TAGS, words=words.FACTORS, phone=Phone.AWAY),
    Column("created_at", Cell.TIME, "logged_in_at", sort=True, phone=Phone.AWAY),
    Column("seen_at", Cell.TIME, sort=True),
)
_AGENT = Column("agent", Cell.CODE)


async def _detail(call: Call, row: ListedSession) -> Detail:
    links = []
    if call.may(Permission.PERSON_VIEW):
        links = [(words.OF_PERSON, f"/staff/{row.staff_id}/security")]
    return Detail(row.name or row.login, [Section((*COLUMNS, _AGENT), row)], links=links)


async def _effect(call: Call, rows: Sequence[ListedSession]) -> Effect:
    own = any(call.session is not None and row.id == call.session.id for row in rows)
    values = {"n": len(rows), "people": len({row.staff_id for row in rows})}
    return Effect(words.END_OWN_EFFECT if own else words.END_EFFECT, values)


PAGE = ListPage(
    "sessions", "/sessions", "system.sessions", Permission.SECURITY_VIEW, FILTER, COLUMNS, detail=_detail,
    listing=SESSIONS, lead=words.SESSIONS_LEAD, sort=Sort("seen_at"),
    actions=(Action("end", words.END, Permission.SECURITY_EDIT, effect=_effect, danger=True,
                    run=lambda call, row: service.end_session(call.change(), row.id)),),
    empty=Empty(words.SESSIONS_EMPTY, words.SESSIONS_LEAD),
)  # fmt: skip

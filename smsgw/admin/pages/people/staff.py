"""Staff (P12.2, 员工管理): who logs in, with which roles and accounts; stopping, letting in again, unlocking."""

from __future__ import annotations

from typing import Any

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found
from smsgw.admin.kit.lists import Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import choices
from smsgw.admin.kit.tables import Column, Kind, Phone, Sort
from smsgw.admin.pages.people.staff_forms import ACTIONS, links
from smsgw.admin.words import lists as words
from smsgw.admin.words.people import ENTRANCE, IMPORT, PERSON_NEW, PROFILE, REMOVED_STAYS
from smsgw.admin.words.roles import NAMES
from smsgw.core.permissions import Permission
from smsgw.platform.org import queries
from smsgw.platform.org.model import WantedPeople

MENU = Entry("people.staff", "/staff", Permission.PERSON_VIEW)
FILTER = Filter(
    (
        Field("login", hint="login"), Field("name", label="person", hint="name"),
        Field("phone", FieldKind.PHONE, "number"), Field("status", FieldKind.CHOICE, choices=words.STAFF_EVER),
        Field("role", FieldKind.CHOICE), Field("department", FieldKind.CHOICE),
        Field("account", FieldKind.CHOICE, more=True), Field("email", more=True),
        Field("last_login_at", FieldKind.DAYS, more=True),
    ),
    period=None,
)  # fmt: skip
COLUMNS = (
    Column("name", Kind.USER, "person", sort=True, value=lambda p: (p["name"], p["login"]), phone=Phone.TITLE),
    Column("phone", Kind.PHONE, "number"),
    Column("department", sort=True, phone=Phone.SECOND),
    Column("roles", Kind.TAGS, "role", words=NAMES, phone=Phone.SECOND),
    Column("accounts", Kind.TAGS, "account", phone=Phone.AWAY),
    Column("email", shown=False, phone=Phone.AWAY),
    Column("status", Kind.STATE, words=words.STAFF_EVER, tones=words.STAFF_TONE, phone=Phone.BESIDE),
    Column("sessions", Kind.NUMBER, phone=Phone.AWAY),
    Column("last_login_at", Kind.TIME, sort=True),
    Column("created_at", Kind.TIME, sort=True, shown=False, phone=Phone.AWAY),
)


def _wanted(found: Found) -> WantedPeople:
    get, (first, last) = found.get, found.get("last_login_at", (None, None))
    department, account = (int(get(key)) if get(key) else None for key in ("department", "account"))
    texts = {key: get(key) for key in ("login", "name", "phone", "email", "status", "role")}
    return WantedPeople(**texts, department_id=department, account_id=account, logged_in_from=first, logged_in_to=last)


async def _detail(call: Call, person: Any) -> Detail:
    here, title = f"/staff/{person['id']}", person["name"] or person["login"]
    facts = [Section(COLUMNS, person)]
    if person["status"] == "removed":
        return Detail(title, facts, notice=call.gettext(REMOVED_STAYS), good=False)
    tabs = ((PROFILE, here), (ENTRANCE, here + "/security"))
    return Detail(title, facts, links=links(call, person["id"]), tabs=tabs)


PAGE = ListPage(
    "staff", "/staff", "people.staff", Permission.PERSON_VIEW, FILTER, COLUMNS, choices=choices, detail=_detail,
    rows=lambda db, actor, found, window: queries.search(db, actor.scope, _wanted(found), window),
    count=lambda db, actor, found, most: queries.how_many(db, actor.scope, _wanted(found)),
    one=lambda db, actor, id_: queries.listed(db, actor.scope, id_),
    actions=ACTIONS, links=((PERSON_NEW, "/staff/-/new", Permission.PERSON_EDIT),
                            (IMPORT, "/staff/-/import", Permission.PERSON_EDIT)),
    sort=Sort("name", descending=False), empty=Empty(words.STAFF_EMPTY, words.STAFF_TEACHES),
)  # fmt: skip

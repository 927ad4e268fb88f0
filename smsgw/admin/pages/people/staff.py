"""Staff (P12.2, 员工管理): who logs in, with which roles and accounts; stopping, letting in again, unlocking."""

from __future__ import annotations

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found
from smsgw.admin.kit.lists import Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import choices
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.people.staff_forms import ACTIONS, links
from smsgw.admin.words import lists as words
from smsgw.admin.words.people import ENTRANCE, IMPORT, PERSON_NEW, PROFILE, REMOVED_STAYS
from smsgw.admin.words.roles import NAMES
from smsgw.core.permissions import Permission
from smsgw.platform.listing import Listing
from smsgw.platform.org.model import ListedPerson, PersonFilter
from smsgw.platform.org.queries import EVERYBODY, PEOPLE

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
    Column("name", Cell.USER, "person", sort=True, value=lambda p: (p.name, p.login), phone=Phone.TITLE),
    Column("phone", Cell.PHONE, "number"),
    Column("department", sort=True, phone=Phone.SECOND),
    Column("roles", Cell.TAGS, "role", words=NAMES, phone=Phone.SECOND),
    Column("accounts", Cell.TAGS, "account", phone=Phone.AWAY),
    Column("email", shown=False, phone=Phone.AWAY),
    Column("status", Cell.STATE, words=words.STAFF_EVER, tones=words.STAFF_TONE, phone=Phone.BESIDE),
    Column("sessions", Cell.NUMBER, phone=Phone.AWAY),
    Column("last_login_at", Cell.TIME, sort=True),
    Column("created_at", Cell.TIME, sort=True, shown=False, phone=Phone.AWAY),
)


def _among(found: Found) -> Listing[ListedPerson, PersonFilter]:
    return EVERYBODY if found.get("status") == "removed" else PEOPLE


async def _detail(call: Call, person: ListedPerson) -> Detail:
    here, title = f"/staff/{person.id}", person.name or person.login
    facts = [Section(COLUMNS, person)]
    if person.status == "removed":
        return Detail(title, facts, notice=call.gettext(REMOVED_STAYS), good=False)
    tabs = ((PROFILE, here), (ENTRANCE, here + "/security"))
    return Detail(title, facts, links=links(call, person.id), tabs=tabs)


PAGE = ListPage(
    "staff", "/staff", "people.staff", Permission.PERSON_VIEW, FILTER, COLUMNS, choices=choices, detail=_detail,
    rows=lambda db, actor, found, w: _among(found).search(db, actor, PEOPLE.filter_of(found.listed), w),
    count=lambda db, actor, found, most: _among(found).count(db, actor, PEOPLE.filter_of(found.listed), most),
    one=EVERYBODY.get,
    actions=ACTIONS, links=((PERSON_NEW, "/staff/-/new", Permission.PERSON_EDIT),
                            (IMPORT, "/staff/-/import", Permission.PERSON_EDIT)),
    sort=Sort("name", descending=False), empty=Empty(words.STAFF_EMPTY, words.STAFF_TEACHES),
)  # fmt: skip

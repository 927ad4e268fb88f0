"""How signatures stand with carriers (P3.2, 报备明细): signature × carrier, each cell with its number and its end."""

from __future__ import annotations

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found
from smsgw.admin.kit.lists import Empty, ListPage
from smsgw.admin.kit.tables import Cell as Kind, Column, Phone, Sort
from smsgw.admin.pages.content import common
from smsgw.admin.pages.content.signs import MATRIX as PATH, PATH as SIGNS, TABS
from smsgw.admin.words import content as words
from smsgw.core.permissions import Permission
from smsgw.platform.content import matrix
from smsgw.platform.content.model import STOPPED, Cell, WantedCells

FILTER = Filter(
    (
        Field("sign"), Field("account", FieldKind.CHOICE), common.AT_CARRIER, common.REGISTERED,
        Field("due", FieldKind.CHOICE, "filing_due", choices=words.DUE), Field("code", label="filing_code", more=True),
    ),
    period=None,
)  # fmt: skip
COLUMNS = (
    Column("name", label="sign", sort=True, phone=Phone.TITLE),
    Column("carrier", Kind.WORD, words=common.OF_CARRIERS, phone=Phone.SECOND),
    Column("state", Kind.STATE, "registration", words=words.REGISTRATION, tones=words.REGISTRATION_TONE,
           phone=Phone.BESIDE),
    Column("code", Kind.CODE, "filing_code", phone=Phone.SECOND),
    Column("answered_on", label="filing_day", value=lambda one: str(one.answered_on or ""), phone=Phone.AWAY),
    Column("expires_at", label="filing_until", sort=True, value=lambda one: common.last_day(one.expires_at)),
    Column("note", Kind.LONG, phone=Phone.AWAY),
    Column("proofs", Kind.NUMBER, "sign_proofs", phone=Phone.AWAY),
    Column("account", phone=Phone.AWAY),
    Column("status", Kind.STATE, "sign_status", words=words.SIGN_STATUS, tones=words.STATUS_TONE, shown=False,
           phone=Phone.AWAY),
)  # fmt: skip


def _wanted(found: Found) -> WantedCells:
    get = found.get
    account, due = (int(get(key)) if get(key) else None for key in ("account", "due"))
    return WantedCells(None, get("sign"), account, get("carrier"), get("registration"), get("code"), due)


async def _detail(call: Call, one: Cell) -> Detail:
    links = [(words.TO_SIGN, f"{SIGNS}/{one.sign_id}")]
    if call.may(Permission.SIGN_DECIDE) and one.status != STOPPED:
        links.append((words.REGISTER, f"{SIGNS}/{one.sign_id}/register?of={one.carrier}"))
    return Detail(f"【{one.name}】", [Section(COLUMNS, one)], links=links)


PAGE = ListPage(
    "sign_matrix", PATH, "content.signs", Permission.SIGN_VIEW, FILTER, COLUMNS, choices=common.choices,
    rows=lambda db, actor, found, window: matrix.search(db, _wanted(found), window, accounts=actor.scope.whole),
    sums=lambda db, actor, found, most: matrix.sums(db, _wanted(found), most, accounts=actor.scope.whole),
    one=lambda db, actor, id_: matrix.one(db, id_, accounts=actor.scope.whole), detail=_detail,
    sort=Sort("name", descending=False), lead=words.MATRIX_LEAD, tabs=TABS, export=Permission.SIGN_VIEW,
    empty=Empty(words.MATRIX_EMPTY, words.MATRIX_TEACH, words.SIGN_NEW, f"{SIGNS}/-/new", Permission.SIGN_EDIT,
                icon="signature"),
)  # fmt: skip

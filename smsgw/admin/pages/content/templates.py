"""Templates (P3.1, 短信模板): what is applied for, how it stands with the reviewer and the carriers, its history."""

from __future__ import annotations

from typing import Any

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found
from smsgw.admin.kit.lists import Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.content import common
from smsgw.admin.pages.content.template_forms import NEW_PATH
from smsgw.admin.words import content as words
from smsgw.admin.words.messages import TYPE
from smsgw.core.permissions import Permission
from smsgw.core.templates import Registration, Review
from smsgw.platform.content import queries
from smsgw.platform.content.model import STOPPED, TEMPLATE, Wanted

PATH = common.PATHS[TEMPLATE]
MENU = Entry("content.templates", PATH, Permission.TEMPLATE_VIEW)
FILTER = Filter(
    (
        Field("id", FieldKind.ID), Field("name"), Field("account", FieldKind.CHOICE),
        Field("type", FieldKind.CHOICE, choices=TYPE), Field("status", FieldKind.CHOICE, choices=words.STATUS),
        Field("content", more=True), Field("sign", more=True),
        common.AT_CARRIER, common.REGISTERED, common.SUBMITTER, common.CREATED,
    ),
    period=None,
)  # fmt: skip


def _registered(row: common.Row) -> str:
    n = sum(said.state is Registration.REGISTERED for said in row["carriers"].values())
    return "all" if n == len(row["carriers"]) else "some" if n else "none"


COLUMNS = (
    Column("id", Cell.CODE, sort=True, phone=Phone.SECOND),
    Column("name", sort=True, phone=Phone.TITLE),
    Column("account", phone=Phone.SECOND),
    Column("type", Cell.WORD, words=TYPE, phone=Phone.AWAY),
    Column("sign", shown=False, phone=Phone.AWAY),
    Column("content", Cell.LONG, phone=Phone.SECOND),
    Column("variables", Cell.TAGS, value=lambda row: list(row["variables"]), shown=False, phone=Phone.AWAY),
    Column("status", Cell.STATE, words=words.STATUS, tones=words.STATUS_TONE, phone=Phone.BESIDE),
    Column("registered_with", Cell.STATE, "registration", value=_registered, words=words.REGISTERED_WITH,
           tones=words.REGISTERED_TONE, phone=Phone.AWAY),
    *common.STATED,
)  # fmt: skip


def _variables(call: Call, row: common.Row) -> list[str]:
    found = []
    for name, one in row["variables"].items():
        form = words.FORM[one["form"]]
        found.append(call.filled(words.VARIABLE, {"name": name, "form": call.gettext(form), "most": one["most"]}))
    return found


async def _detail(call: Call, row: common.Row) -> Detail:
    variables = Column("variables", Cell.TAGS, value=lambda _: _variables(call, row))
    shown = [variables if one.key == "variables" else one for one in COLUMNS if one.key != "registered_with"]
    links = common.links(call, TEMPLATE, row)
    if call.may(Permission.TEMPLATE_EDIT):
        if row["state"] != Review.APPROVED and row["status"] != STOPPED:
            links.insert(0, (words.TEMPLATE_EDIT, f"{PATH}/{row['id']}/edit"))
        links.append((words.TEMPLATE_COPY, f"{NEW_PATH}?from={row['id']}"))
    return Detail(
        row["name"], [Section((*shown, *common.REVIEWED), row), Section(common.MATRIX, row, words.CARRIERS)],
        links=links, past=await common.past(call, TEMPLATE, row["id"]),
    )  # fmt: skip


def _wanted(found: Found) -> Wanted:
    return common.wanted(found, name="name", text="content")


async def _count(db: Any, actor: Any, found: Found, most: int) -> int:
    return await queries.how_many(db, TEMPLATE, _wanted(found), most, accounts=actor.scope.whole)


PAGE = ListPage(
    "templates", PATH, "content.templates", Permission.TEMPLATE_VIEW, FILTER, COLUMNS, choices=common.choices,
    rows=lambda db, actor, found, window: queries.search(
        db, TEMPLATE, _wanted(found), window, accounts=actor.scope.whole),
    count=_count, one=lambda db, actor, id_: queries.one(db, TEMPLATE, id_, accounts=actor.scope.whole),
    detail=_detail, sort=Sort("created_at"), lead=words.TEMPLATES_LEAD,
    actions=common.stop_actions(TEMPLATE, words.TEMPLATE_STOP_EFFECT, words.TEMPLATE_START_EFFECT),
    links=((words.TEMPLATE_NEW, NEW_PATH, Permission.TEMPLATE_EDIT),),
    empty=Empty(words.TEMPLATES_EMPTY, words.TEMPLATES_TEACH, words.TEMPLATE_NEW, NEW_PATH, Permission.TEMPLATE_EDIT,
                icon="template"),
)  # fmt: skip

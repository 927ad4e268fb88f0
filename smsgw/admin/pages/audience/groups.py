"""Groups of contacts (P4.1, 分组): what tasks are sent to, for oneself, a department or all who see the account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, read_id
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.audience.contacts import (
    GROUPS,
    PATH,
    SHARING,
    TABS,
    department_choices,
    group_choices,
    open_group_choices,
    sharing,
)
from smsgw.admin.words import audience as words
from smsgw.core.permissions import Permission
from smsgw.platform.audience import book, book_queries as queries
from smsgw.platform.audience.model import Group, Shared, WantedGroups

_ONE = f"{GROUPS}/{{id:[0-9]{{1,19}}}}"
FILTER = Filter(
    (Field("name", label="contact_group"), Field("account", FieldKind.CHOICE),
     Field("within", FieldKind.CHOICE, "group_parent"), Field("shared", FieldKind.CHOICE, "used_by", words.SHARED)),
    period=None,
)  # fmt: skip
COLUMNS = (
    Column("name", label="contact_group", sort=True, phone=Phone.TITLE),
    Column("members", Cell.NUMBER, phone=Phone.BESIDE, to=lambda one: f"{PATH}?group={one.id}"),
    Column("below", Cell.NUMBER, "group_below", phone=Phone.AWAY),
    Column("parent", label="group_parent", phone=Phone.SECOND),
    Column("account", phone=Phone.SECOND),
    Column("shared", Cell.STATE, "used_by", words=words.SHARED, tones=words.SHARED_TONE, phone=Phone.SECOND),
    Column("department", label="shared_with", phone=Phone.AWAY),
    Column("owner", label="created_by", phone=Phone.AWAY),
    Column("at", Cell.TIME, "created_at", sort=True, value=lambda one: one.created_at),
)


def _wanted(found: Found) -> WantedGroups:
    account, within = (int(found.get(key)) if found.get(key) else None for key in ("account", "within"))
    return WantedGroups(found.get("name"), account, found.get("shared"), within)


async def _choices(call: Call, _: Any = None) -> Mapping[str, Mapping[str, str]]:
    return {
        "account": own_accounts(call), "department": await department_choices(call),
        "within": await group_choices(call), "parent": await open_group_choices(call),
    }  # fmt: skip


async def _detail(call: Call, one: Group) -> Detail:
    links = [(words.GROUP_MEMBERS, f"{PATH}?group={one.id}")]
    if call.may(Permission.CONTACT_EDIT) and book.manages(call.actor, one):
        links.append((words.GROUP_EDIT, f"{GROUPS}/{one.id}/edit"))
        links.append((words.GROUP_MOVE, f"{GROUPS}/{one.id}/move"))
    return Detail(one.name, [Section(COLUMNS[1:], one)], links=links)


async def _remove_effect(_: Call, rows: Sequence[Group]) -> Effect:
    return Effect(words.GROUP_REMOVE_EFFECT, {"n": len(rows), "names": ", ".join(one.name for one in rows[:5])})


PAGE = ListPage(
    "groups", GROUPS, "audience.contacts", Permission.CONTACT_VIEW, FILTER, COLUMNS, choices=_choices, detail=_detail,
    rows=lambda db, actor, found, window: queries.groups(db, actor, _wanted(found), window),
    count=lambda db, actor, found, most: queries.how_many_groups(db, actor, _wanted(found), most),
    one=lambda db, actor, id_: queries.group(db, actor, id_), sort=Sort("at"), lead=words.GROUPS_LEAD, tabs=TABS,
    actions=(Action("remove", words.GROUP_REMOVE, Permission.CONTACT_EDIT,
                    lambda call, one: book.remove_group(call.change(), one.id), _remove_effect, danger=True),),
    links=((words.GROUP_NEW, f"{GROUPS}/-/new", Permission.CONTACT_EDIT),),
    empty=Empty(words.GROUPS_EMPTY, words.GROUPS_TEACH, words.GROUP_NEW, f"{GROUPS}/-/new", Permission.CONTACT_EDIT,
                icon="users"),
)  # fmt: skip

# --- changes ---------------------------------------------------------------------------------------------------------

_NAME = Input("name", label="contact_group", required=True, most=64)
_PARENT = Input("parent", InputKind.CHOICE, "group_parent", words.GROUP_PARENT_HELP)
_NEW = Form((Inputs((Input("account", InputKind.CHOICE, required=True), _NAME, _PARENT, *SHARING)),))
_EDIT = Form((Inputs((_NAME, *SHARING, Input("with_members", InputKind.SWITCH, help=words.WITH_MEMBERS_HELP))),))


async def _add(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    account, parent = int(values["account"]), int(values["parent"]) if values["parent"] else None
    id_ = await book.add_group(call.change(), account, values["name"], sharing(values), parent_id=parent)
    call.toast(call.gettext(words.CONTACT_SAVED))
    return call.redirect(f"{GROUPS}/{id_}")


async def _own(call: Call) -> Group | None:
    id_ = read_id(call.request.match_info["id"])
    one = None if id_ is None else await queries.group(call.db, call.actor, id_)
    return one if one is not None and book.manages(call.actor, one) else None


async def _put(call: Call, one: Group, values: Mapping[str, Any]) -> web.Response:
    await book.put_group(call.change(), one.id, values["name"], sharing(values), with_members=values["with_members"])
    call.toast(call.gettext(words.CONTACT_SAVED))
    return call.redirect(f"{GROUPS}/{one.id}")


ADD = FormPage(
    f"{GROUPS}/-/new", Permission.CONTACT_EDIT, words.GROUP_NEW, words.CONTACT_SAVE, _NEW, _add, lambda _: GROUPS,
    choices=_choices, values=lambda _: {"scope": Shared.ACCOUNT.value},
)  # fmt: skip
EDIT = FormPage(
    f"{_ONE}/edit", Permission.CONTACT_EDIT, words.GROUP_EDIT, words.CONTACT_SAVE, _EDIT, _put,
    lambda one: f"{GROUPS}/{one.id}", _own,
    lambda one: {"name": one.name, "scope": one.shared, "department": one.department_id}, _choices,
    lead=lambda one: one.name,
)  # fmt: skip


async def _parents(call: Call, one: Group) -> Mapping[str, Mapping[str, str]]:
    """Where it can lie: not in itself, nor in what lies in it."""
    inside = set(await queries.below(call.db, call.actor, one.id))
    rows = await book.open_groups(call.db, call.actor, one.account_id)
    return {"parent": {str(row["id"]): row["name"] for row in rows if row["id"] not in inside}}


async def _move(call: Call, one: Group, values: Mapping[str, Any]) -> web.Response:
    await book.move_group(call.change(), one.id, int(values["parent"]) if values["parent"] else None)
    call.toast(call.gettext(words.GROUP_MOVED))
    return call.redirect(f"{GROUPS}/{one.id}")


async def _move_effect(call: Call, one: Group, values: Mapping[str, Any]) -> Effect:
    moved = await queries.below(call.db, call.actor, one.id)
    said: dict[str, Any] = {"name": one.name, "groups": len(moved) - 1, "n": one.below}
    if not values["parent"]:
        return Effect(words.GROUP_MOVE_TOP_EFFECT, said)
    there = await queries.below(call.db, call.actor, int(values["parent"]))
    parent = await queries.group(call.db, call.actor, int(values["parent"]))
    others = sorted(set(there) - set(moved))  # it may lie there already
    said |= {
        "parent": parent.name if parent else "",
        "before": await queries.contacts_in(call.db, others),
        "after": await queries.contacts_in(call.db, [*others, *moved]),
    }
    return Effect(words.GROUP_MOVE_EFFECT, said)


MOVE = FormPage(
    f"{_ONE}/move", Permission.CONTACT_EDIT, words.GROUP_MOVE, words.GROUP_MOVE, Form((Inputs((_PARENT,)),)), _move,
    lambda one: f"{GROUPS}/{one.id}", _own, lambda one: {"parent": one.parent_id}, _parents, effect=_move_effect,
    lead=lambda one: one.name,
)  # fmt: skip

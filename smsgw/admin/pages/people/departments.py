"""Departments (P12.1, 部门管理): the tree with what belongs to each; making, changing, moving and removing them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.filters import Problem, read_id
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Effect
from smsgw.admin.kit.menu import Entry
from smsgw.admin.rights import route
from smsgw.admin.words import people as words
from smsgw.core.permissions import Permission
from smsgw.platform.org import queries, service
from smsgw.platform.org.model import Department

PATH = "/departments"
MENU = Entry("people.departments", PATH, Permission.DEPARTMENT_VIEW)


@dataclass(frozen=True, slots=True)
class Node:
    """A department in the tree."""

    id: int
    label: str
    count: int
    """People."""
    children: Sequence[Node]


def tree(departments: Sequence[Department]) -> list[Node]:
    """The departments as a tree; what is above those in the scope is left out."""
    known = {one.id for one in departments}
    parts: dict[int | None, list[Department]] = {}
    for one in departments:
        parts.setdefault(one.parent_id if one.parent_id in known else None, []).append(one)

    def below(parent: int | None) -> list[Node]:
        return [Node(one.id, one.name, one.people, below(one.id)) for one in parts.get(parent, ())]

    return below(None)


async def _department(call: Call) -> Department | None:
    id_ = read_id(call.request.match_info["id"])
    found = await queries.departments(call.db, call.actor.scope)
    return next((one for one in found if one.id == id_), None)


@route("GET", PATH, Permission.DEPARTMENT_VIEW)
async def show(call: Call) -> web.StreamResponse:
    """The tree."""
    return await _page(call, None)


@route("GET", PATH + "/{id:[0-9]{1,19}}", Permission.DEPARTMENT_VIEW)
async def show_one(call: Call) -> web.StreamResponse:
    """The tree, and one department in full."""
    one = await _department(call)
    if one is None:
        raise web.HTTPNotFound
    return await _page(call, one)


async def _page(call: Call, one: Department | None) -> web.Response:
    found = await queries.departments(call.db, call.actor.scope)
    branch = await queries.branch(call.db, call.actor.scope, one.id) if one else None
    places = await queries.places(call.db, call.actor.scope, one.id) if one else []
    return call.render(
        "people/departments.html", nodes=tree(found), one=one, branch=branch, n=len(found), places=places,
        used=await queries.month_used(call.db, one.id) if one else 0,
        above=next((other for other in found if one and other.id == one.parent_id), None),
    )  # fmt: skip


# --- changes ---------------------------------------------------------------------------------------------------------

_NAME = Input("name", label="department_name", required=True, most=64)
_PARENT = Input("parent", InputKind.CHOICE, help=words.PARENT_HELP)


def _back(one: Department | tuple[()]) -> str:
    return f"{PATH}/{one.id}" if isinstance(one, Department) else PATH


def _done(call: Call, path: str, said: str = words.SAVED) -> web.Response:
    call.toast(call.gettext(said))
    return call.redirect(path)


async def _parents(call: Call, _: Any) -> Mapping[str, Mapping[str, str]]:
    found = await queries.departments(call.db, call.actor.scope)
    return {"parent": {str(one.id): one.name for one in found}}


def _id(text: str) -> int | None:
    return int(text) if text else None


async def _add(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    parent = _id(values["parent"])
    if parent is None and not call.actor.scope.covers_department(None):
        raise Wrong("parent", Problem(words.PARENT_NEEDED))
    id_ = await service.add_department(call.change(), values["name"], parent)
    return _done(call, f"{PATH}/{id_}")


async def _set(call: Call, one: Department, values: Mapping[str, Any]) -> web.Response:
    manager = values["manager"] or None
    if manager is not None:
        person = await queries.person(call.db, manager, status=service.PRESENT)
        if person is None or not call.actor.scope.covers_department(person.reach.department):
            raise Wrong("manager", Problem(words.NO_SUCH_PERSON))
    await service.set_department(
        call.change(), one.id, name=values["name"], manager=manager, month_quota=values["month_quota"]
    )
    return _done(call, _back(one))


async def _set_effect(_: Call, one: Department, __: Mapping[str, Any]) -> Effect:
    return Effect(words.DEPARTMENT_SET_EFFECT, {"name": one.name, "people": one.people, "accounts": one.accounts})


async def _move(call: Call, one: Department, values: Mapping[str, Any]) -> web.Response:
    parent = _id(values["parent"])
    if parent is None and not call.actor.scope.covers_department(None):
        raise Wrong("parent", Problem(words.PARENT_NEEDED))
    await service.move_department(call.change(), one.id, parent)
    return _done(call, _back(one))


async def _move_effect(call: Call, one: Department, values: Mapping[str, Any]) -> Effect:
    parents = (await _parents(call, one))["parent"]
    branch = await queries.branch(call.db, call.actor.scope, one.id)
    parent = parents.get(values["parent"], "") or call.gettext(words.TOP)
    told = {"name": one.name, "n": branch.departments, "people": branch.people, "accounts": branch.accounts}
    return Effect(words.DEPARTMENT_MOVE_EFFECT, told | {"parent": parent})


async def _remove(call: Call, one: Department, _: Mapping[str, Any]) -> web.Response:
    await service.remove_department(call.change(), one.id)
    return _done(call, PATH, words.REMOVED)


async def _remove_effect(call: Call, one: Department, _: Mapping[str, Any]) -> Effect:
    branch = await queries.branch(call.db, call.actor.scope, one.id)
    told = {"name": one.name, "n": branch.departments - 1, "people": branch.people, "accounts": branch.accounts}
    kept = branch.departments > 1 or branch.people or branch.accounts
    return Effect(words.DEPARTMENT_NOT_EMPTY if kept else words.DEPARTMENT_REMOVE_EFFECT, told, nothing=bool(kept))


NEW = FormPage(
    PATH + "/-/new", Permission.DEPARTMENT_EDIT, words.DEPARTMENT_NEW, words.CREATE,
    Form((Inputs((_NAME, _PARENT)),)), _add, _back, choices=_parents,
)  # fmt: skip
EDIT = FormPage(
    PATH + "/{id:[0-9]{1,19}}/edit", Permission.DEPARTMENT_EDIT, words.DEPARTMENT_EDIT, words.SAVE,
    Form((Inputs((
        _NAME, Input("manager", help=words.MANAGER_HELP, most=64),
        Input("month_quota", InputKind.NUMBER, least=1, most=10**12, help=words.QUOTA_HELP),
    )),)),
    _set, _back, _department, effect=_set_effect, lead=lambda one: one.name,
    values=lambda one: {"name": one.name, "manager": one.manager, "month_quota": one.month_quota},
)  # fmt: skip
MOVING = FormPage(
    PATH + "/{id:[0-9]{1,19}}/move", Permission.DEPARTMENT_EDIT, words.DEPARTMENT_MOVE, words.MOVE,
    Form((Inputs((_PARENT,)),)), _move, _back, _department, choices=_parents, effect=_move_effect,
    values=lambda one: {"parent": one.parent_id}, lead=lambda one: one.name,
)  # fmt: skip
REMOVING = FormPage(
    PATH + "/{id:[0-9]{1,19}}/remove", Permission.DEPARTMENT_EDIT, words.DEPARTMENT_REMOVE, words.REMOVE,
    Form(()), _remove, _back, _department, effect=_remove_effect, lead=lambda one: one.name, danger=True,
)  # fmt: skip

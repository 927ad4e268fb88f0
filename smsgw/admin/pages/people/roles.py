"""Roles (P12.4, 角色管理): modules, actions and data scope, who has each; own ones made, copied, changed, removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit import people
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, read_id
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.table_exports import Say, Table, TableExport
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.words import people as words
from smsgw.admin.words.kit import NO, YES
from smsgw.admin.words.roles import NAMES
from smsgw.admin.words.terms import TERMS
from smsgw.core.actor import EVERYTHING, Actor, ScopeKind
from smsgw.core.permissions import ALL, NOT_OF_PEOPLE, Permission
from smsgw.platform.handles import Database
from smsgw.platform.org import queries, service
from smsgw.platform.org.model import ListedRole
from smsgw.platform.org.queries import ROLES

PATH = "/roles"
_ONE = PATH + "/{id:[0-9]{1,19}}"
MENU = Entry("people.roles", PATH, Permission.ROLE_VIEW)
GIVEN = ALL - NOT_OF_PEOPLE - {Permission.SELF_EDIT}
"""What roles are about: one's own things are everybody's."""
FILTER = Filter(
    (
        Field("name", label="role_name"), Field("origin", FieldKind.CHOICE, choices=words.SOURCE),
        Field("scope", FieldKind.CHOICE, choices=words.SCOPES), Field("permission", FieldKind.CHOICE),
    ),
    period=None,
)  # fmt: skip
COLUMNS = (
    Column("name", Cell.WORD, "role_name", sort=True, words=NAMES, value=lambda r: r.name, phone=Phone.TITLE),
    Column("code", Cell.CODE, "role_code", sort=True, value=lambda r: r.code, phone=Phone.SECOND),
    Column("origin", Cell.STATE, words=words.SOURCE, tones=words.SOURCE_TONE, phone=Phone.BESIDE,
           value=lambda r: "builtin" if r.builtin else "own"),
    Column("scope", Cell.WORD, words=words.SCOPES, value=lambda r: r.scope.value, phone=Phone.SECOND),
    Column("duties", Cell.TAGS, words=words.DUTIES, value=lambda r: sorted(r.duties), phone=Phone.AWAY),
    Column("rights", Cell.NUMBER, value=lambda r: len(r.rights), phone=Phone.AWAY),
    Column("holders", Cell.NUMBER, sort=True),
)  # fmt: skip


async def _labels(call: Call) -> Mapping[str, Mapping[str, str]]:
    return {"permission": {p.value: people.label(call, p) for p in Permission if p in GIVEN}}


async def _detail(call: Call, one: ListedRole) -> Detail:
    facts = {
        "permission": [people.label(call, p) for p in Permission if p in one.rights],
        "people": await queries.names_of_holders(call.db, call.actor.scope, one.id),
    }
    below = [Column("permission", Cell.TAGS)]
    if call.may(Permission.PERSON_VIEW):
        below.append(Column("people", Cell.TAGS))
    links = []
    if call.may(Permission.ROLE_EDIT):
        links = [(words.COPY, f"{PATH}/{one.id}/copy")]
        if not one.builtin:
            links.insert(0, (words.EDIT, f"{PATH}/{one.id}/edit"))
    return Detail(_name(call, one), [Section(COLUMNS, one), Section(below, facts)], links=links)


def _name(call: Call, one: ListedRole) -> str:
    return call.gettext(one.name) if one.builtin else one.name


async def _remove_effect(call: Call, rows: Sequence[ListedRole]) -> Effect:
    names = ", ".join(_name(call, one) for one in rows[:5])
    return Effect(words.ROLE_REMOVE_EFFECT, {"names": names, "holders": sum(one.holders for one in rows)})


PAGE = ListPage(
    "roles", PATH, "people.roles", Permission.ROLE_VIEW, FILTER, COLUMNS, choices=_labels, detail=_detail,
    listing=ROLES, lead=words.ROLES_TEACH, sort=Sort("holders"), empty=Empty(words.ROLES_EMPTY, words.ROLES_TEACH),
    actions=(
        Action("remove", words.REMOVE, Permission.ROLE_EDIT, effect=_remove_effect, danger=True,
               run=lambda call, one: service.remove_role(call.change(), one.code)),
    ),
    links=((words.ROLE_NEW, PATH + "/-/new", Permission.ROLE_EDIT),
           (words.MATRIX, PATH + "/-/matrix", Permission.ROLE_VIEW)),
)  # fmt: skip


async def _matrix(db: Database, _: Actor, say: Say) -> Table:
    """All roles beside each other: permissions down, roles across."""
    roles = await queries.roles(db)
    rows = [[say(TERMS["scope"]), *(say(words.SCOPES[role.scope.value]) for role in roles)]]
    for permission in (p for p in Permission if p in GIVEN):
        has = (role.everything or permission in role.permissions for role in roles)
        rows.append([people.label_of(say, permission), *(say(YES if one else NO) for one in has)])
    return [say(TERMS["permission"]), *(say(role.name) if role.builtin else role.name for role in roles)], rows


MATRIX = TableExport("role-matrix", PATH + "/-/matrix", Permission.ROLE_VIEW, words.MATRIX, PATH, _matrix)


# --- changes ---------------------------------------------------------------------------------------------------------

_CODE = Input("code", label="role_code", required=True, most=32, help=words.ROLE_CODE_HELP)
_TITLE = Input("name", label="role_name", required=True, most=64)
_RIGHTS = (
    Input("scope", InputKind.CHOICE, required=True, choices=words.SCOPES),
    Input("permission", InputKind.RIGHTS, required=True),
)


async def _role(call: Call) -> ListedRole | None:
    id_ = read_id(call.request.match_info["id"])
    return None if id_ is None else await ROLES.get(call.db, call.actor, id_)


async def _own_role(call: Call) -> ListedRole | None:
    one = await _role(call)
    return None if one is None or one.builtin else one


async def _choices(call: Call, _: Any) -> Mapping[str, Mapping[str, str]]:
    """Only what the person has; the service says no to the rest."""
    wide = call.actor.scope == EVERYTHING
    return {
        "permission": {p.value: p.value for p in Permission if p in GIVEN and call.may(p)},
        "scope": {key: call.gettext(text) for key, text in words.SCOPES.items() if wide or key != ScopeKind.ALL.value},
    }


def _back(one: ListedRole | tuple[()]) -> str:
    return f"{PATH}/{one.id}" if isinstance(one, ListedRole) else PATH


def _saved(call: Call, id_: int) -> web.Response:
    call.toast(call.gettext(words.SAVED))
    return call.redirect(f"{PATH}/{id_}")


def _chosen(values: Mapping[str, Any]) -> tuple[frozenset[Permission], ScopeKind]:
    return frozenset(map(Permission, values["permission"])), ScopeKind(values["scope"])


async def _add(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    return _saved(call, await service.add_role(call.change(), values["code"], values["name"], *_chosen(values)))


async def _set(call: Call, one: ListedRole, values: Mapping[str, Any]) -> web.Response:
    permissions, scope = _chosen(values)
    await service.set_role(call.change(), one.code, name=values["name"], permissions=permissions, scope=scope)
    return _saved(call, one.id)


async def _set_effect(_: Call, one: ListedRole, values: Mapping[str, Any]) -> Effect:
    changed = len(_chosen(values)[0] ^ one.rights)
    return Effect(words.ROLE_SET_EFFECT, {"name": one.name, "n": changed, "holders": one.holders})


async def _copy(call: Call, one: ListedRole, values: Mapping[str, Any]) -> web.Response:
    return _saved(call, await service.copy_role(call.change(), one.code, values["code"], values["name"]))


NEW = FormPage(
    PATH + "/-/new", Permission.ROLE_EDIT, words.ROLE_NEW, words.CREATE, Form((Inputs((_CODE, _TITLE, *_RIGHTS)),)),
    _add, _back, choices=_choices,
)  # fmt: skip
EDIT = FormPage(
    _ONE + "/edit", Permission.ROLE_EDIT, words.ROLE_EDIT, words.SAVE, Form((Inputs((_TITLE, *_RIGHTS)),)),
    _set, _back, _own_role, choices=_choices, effect=_set_effect, lead=lambda one: one.name,
    values=lambda one: {"name": one.name, "scope": one.scope.value,
                        "permission": sorted(p.value for p in one.rights)},
)  # fmt: skip
COPY = FormPage(
    _ONE + "/copy", Permission.ROLE_EDIT, words.ROLE_COPY, words.COPY, Form((Inputs((_CODE, _TITLE)),)),
    _copy, _back, _role, lead=lambda one: one.name,
)  # fmt: skip

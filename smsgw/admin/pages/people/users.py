"""Sub-accounts (P12.3, 用户管理): single rights of people, given beyond their roles or taken though a role has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit import people
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.words import lists, people as words
from smsgw.admin.words.roles import NAMES
from smsgw.core.permissions import ALL, Permission
from smsgw.platform.org import queries, service
from smsgw.platform.org.model import ListedPerson, Person

PATH = "/users"
MENU = Entry("people.users", PATH, Permission.PERSON_VIEW)
FILTER = Filter(
    (
        Field("login", hint="login"), Field("name", label="person", hint="name"),
        Field("phone", FieldKind.PHONE, "number"), Field("role", FieldKind.CHOICE),
        Field("department", FieldKind.CHOICE), Field("status", FieldKind.CHOICE, choices=lists.STAFF_STATUS),
    ),
    period=None,
)  # fmt: skip
COLUMNS = (
    Column("name", Cell.USER, "person", sort=True, value=lambda p: (p.name, p.login), phone=Phone.TITLE),
    Column("department", sort=True, phone=Phone.SECOND),
    Column("roles", Cell.TAGS, "role", words=NAMES, phone=Phone.SECOND),
    Column("accounts", Cell.TAGS, "account", phone=Phone.AWAY),
    Column("status", Cell.STATE, words=lists.STAFF_STATUS, tones=lists.STAFF_TONE, phone=Phone.BESIDE),
    Column("last_login_at", Cell.TIME, sort=True, phone=Phone.AWAY),
)
_SINGLE = (Column("allowed", Cell.TAGS), Column("withheld", Cell.TAGS))


async def _detail(call: Call, row: ListedPerson) -> Detail:
    person = await queries.person(call.db, row.login, status=service.PRESENT)
    if person is None:
        raise web.HTTPNotFound
    single = {
        "allowed": [people.label(call, p) for p in sorted(person.allowed)],
        "withheld": [people.label(call, p) for p in sorted(person.withheld)],
    }
    links = [(words.RIGHTS_SET, f"{PATH}/{row.id}/rights")] if call.may(Permission.PERSON_GRANT) else []
    return Detail(row.name or row.login, [Section(COLUMNS, row), Section(_SINGLE, single)], links=links)


PAGE = ListPage(
    "users", PATH, "people.users", Permission.PERSON_VIEW, FILTER, COLUMNS, choices=people.choices, detail=_detail,
    listing=queries.PEOPLE, links=((words.PERSON_NEW, "/staff/-/new", Permission.PERSON_EDIT),),
    lead=words.USERS_TEACH, sort=Sort("name", descending=False), empty=Empty(words.USERS_EMPTY, words.USERS_TEACH),
)  # fmt: skip


# --- the boxes -------------------------------------------------------------------------------------------------------

_OFFERED = frozenset(map(Permission, words.NAMED))


async def _person(call: Call) -> Person | None:
    one = await people.contact(call)
    return None if one is None else await queries.person(call.db, one.login, status=service.PRESENT)


async def _boxes(call: Call, _: Person) -> Mapping[str, Mapping[str, str]]:
    named = {key: call.gettext(text) for key, text in words.NAMED.items() if call.may(Permission(key))}
    return {"permission": named}


def _single(call: Call, person: Person, chosen: Any) -> tuple[frozenset[Permission], frozenset[Permission]]:
    """What is allowed beyond the roles and withheld from them, when these boxes are ticked of those offered."""
    offered = frozenset(p for p in _OFFERED if call.may(p))
    ticked = frozenset(map(Permission, chosen)) & offered
    of_roles = frozenset[Permission]().union(*(ALL if r.everything else r.permissions for r in person.roles))
    allowed = (person.allowed - offered) | (ticked - of_roles)
    withheld = (person.withheld - offered) | ((offered - ticked) & of_roles)
    return allowed, withheld


async def _save(call: Call, person: Person, values: Mapping[str, Any]) -> web.Response:
    allowed, withheld = _single(call, person, values["permission"])
    await service.set_permissions(call.change(), person.login, allowed=allowed, withheld=withheld)
    call.toast(call.gettext(words.SAVED))
    return call.redirect(f"{PATH}/{person.id}")


async def _effect(call: Call, person: Person, values: Mapping[str, Any]) -> Effect:
    allowed, withheld = _single(call, person, values["permission"])
    told = {"name": person.name or person.login, "more": len(allowed), "less": len(withheld)}
    return Effect(words.RIGHTS_EFFECT, told)


RIGHTS = FormPage(
    PATH + "/{id:[0-9]{1,19}}/rights", Permission.PERSON_GRANT, words.RIGHTS_SET, words.SAVE,
    Form((Inputs((Input("permission", InputKind.CHOICES, help=words.RIGHTS_HELP),)),)), _save,
    lambda person: f"{PATH}/{person.id}", _person, choices=_boxes, effect=_effect,
    values=lambda person: {"permission": sorted(p.value for p in person.permissions & _OFFERED)},
    lead=lambda person: f"{person.name} ({person.login})",
)  # fmt: skip

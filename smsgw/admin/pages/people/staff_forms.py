"""Forms of staff (P12.2): a new person with a one-time password, what is known of one, roles, another password."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit import people
from smsgw.admin.kit.filters import Problem
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Action, Effect
from smsgw.admin.passwords import Rank
from smsgw.admin.rights import Proof
from smsgw.admin.strength import one_time_password
from smsgw.admin.words import lists, people as words
from smsgw.core.permissions import Permission
from smsgw.platform.login import service as entrance
from smsgw.platform.org import queries, service
from smsgw.platform.org.model import Contact, ListedPerson

PATH = "/staff"
_ONE = PATH + "/{id:[0-9]{1,19}}"
_PHONE = Input("phone", InputKind.PHONE, "number")
_KNOWN = (
    Input("name", label="person", required=True, most=64),
    Input("email", InputKind.EMAIL),
    Input("department", InputKind.CHOICE),
    Input("accounts", InputKind.CHOICES, "account", words.ACCOUNTS_HELP),
)
_ROLES = Input("role", InputKind.CHOICES, help=words.ROLES_HELP)
_NEW = Form((Inputs((Input("login", required=True, most=64, help=words.LOGIN_HELP), *_KNOWN, _PHONE, _ROLES)),))

_EDIT = Form((Inputs((*_KNOWN, Input("phone", InputKind.PHONE, "number", words.PHONE_HELP))),))


def _back(one: Contact | tuple[()]) -> str:
    return f"{PATH}/{one.id}" if isinstance(one, Contact) else PATH


async def _choices(call: Call, _: Any) -> Mapping[str, Mapping[str, str]]:
    found = dict(await people.given(call))
    found["accounts"] = found.pop("account")
    if not call.may(Permission.PERSON_GRANT):
        found["role"] = {}
    return found


def _department(call: Call, values: Mapping[str, Any]) -> int | None:
    """The chosen one; who has a part of the departments puts nobody outside of it."""
    if not values["department"] and not call.actor.scope.covers_department(None):
        raise Wrong("department", Problem(words.DEPARTMENT_NEEDED))
    return int(values["department"]) if values["department"] else None


async def _one_time(call: Call, login: str, name: str) -> tuple[str, str]:
    """A password and its hash."""
    passwords = call.portal.auth.passwords
    async with passwords.turn(call.who.login, Rank.KNOWN):
        password = await asyncio.to_thread(one_time_password, login, name)
        return password, await passwords.hash(password)


def _told(call: Call, login: str, password: str, id_: int) -> web.Response:
    return call.render("people/one_time.html", login=login, password=password, id=id_)


async def _add(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    department = _department(call, values)
    password, hashed = await _one_time(call, values["login"], values["name"])
    id_ = await service.add_person(
        call.change(), values["login"], values["name"], values["role"], hashed,
        accounts=[int(one) for one in values["accounts"]], department_id=department, email=values["email"],
        phone=values["phone"],
    )  # fmt: skip
    return _told(call, values["login"], password, id_)


def _changes(call: Call, one: Contact, values: Mapping[str, Any]) -> dict[str, Any]:
    """What is another value now; accounts that the person who changes them does not see stay."""
    seen = call.actor.scope.accounts
    hidden = {id_ for id_ in one.accounts if seen is not None and id_ not in seen}
    wanted = {
        "name": values["name"],
        "email": values["email"],
        "department_id": int(values["department"]) if values["department"] else None,
        "accounts": tuple(sorted(hidden | {int(id_) for id_ in values["accounts"]})),
    }
    found = {field: value for field, value in wanted.items() if value != getattr(one, field)}
    return found | ({"phone": values["phone"]} if values["phone"] else {})


async def _set(call: Call, one: Contact, values: Mapping[str, Any]) -> web.Response:
    changes = _changes(call, one, values)
    if "department_id" in changes:
        _department(call, values)
    if changes:
        await service.set_person(call.change(), one.login, changes)
    call.toast(call.gettext(words.SAVED))
    return call.redirect(_back(one))


async def _grant(call: Call, one: Contact, values: Mapping[str, Any]) -> web.Response:
    await service.grant(call.change(), one.login, values["role"])
    call.toast(call.gettext(words.SAVED))
    return call.redirect(_back(one))


async def _of_roles(call: Call) -> tuple[Contact, tuple[str, ...]] | None:
    one = await people.contact(call)
    person = None if one is None else await queries.person(call.db, one.login, status=service.PRESENT)
    return None if one is None or person is None else (one, tuple(role.code for role in person.roles))


async def _reset(call: Call, one: Contact, _: Mapping[str, Any]) -> web.Response:
    password, hashed = await _one_time(call, one.login, one.name)
    await service.reset_password(call.change(), one.login, hashed)
    return _told(call, one.login, password, one.id)


async def _reset_effect(_: Call, one: Contact, __: Mapping[str, Any]) -> Effect:
    return Effect(words.RESET_EFFECT, {"names": one.name or one.login, "sessions": one.sessions})


def _named(one: Contact) -> str:
    return f"{one.name} ({one.login})"


NEW = FormPage(
    PATH + "/-/new", Permission.PERSON_EDIT, words.PERSON_NEW, words.CREATE, _NEW, _add, _back, choices=_choices,
    step_up=Proof.FACTOR,
)  # fmt: skip
EDIT = FormPage(
    _ONE + "/edit", Permission.PERSON_EDIT, words.PERSON_EDIT, words.SAVE, _EDIT, _set, _back,
    people.contact, choices=_choices, lead=_named, step_up=Proof.PASSWORD,
    values=lambda one: {"name": one.name, "email": one.email, "department": one.department_id,
                        "accounts": one.accounts},
)  # fmt: skip
ROLES = FormPage(
    _ONE + "/roles", Permission.PERSON_GRANT, words.PERSON_ROLES, words.SAVE, Form((Inputs((_ROLES,)),)),
    lambda call, subject, values: _grant(call, subject[0], values), lambda subject: _back(subject[0]), _of_roles,
    values=lambda subject: {"role": subject[1]}, choices=_choices, lead=lambda subject: _named(subject[0]),
)  # fmt: skip
RESET = FormPage(
    _ONE + "/reset", Permission.PERSON_RESET, words.PERSON_RESET, words.RESET, Form(()), _reset, _back, people.contact,
    effect=_reset_effect, lead=_named,
)  # fmt: skip
LINKS = (
    (words.EDIT, "edit", Permission.PERSON_EDIT),
    (words.PERSON_ROLES, "roles", Permission.PERSON_GRANT),
    (words.RESET, "reset", Permission.PERSON_RESET),
)


def links(call: Call, id_: int) -> list[tuple[str, str]]:
    """The forms of one person that the reader may open."""
    return [(text, f"{PATH}/{id_}/{below}") for text, below, right in LINKS if call.may(right)]


async def _unlock(call: Call, person: ListedPerson) -> None:
    await entrance.unlock(call.change(), person.login)
    call.portal.auth.forgive(person.login)


_may = partial(Action, permission=Permission.PERSON_STOP)
ACTIONS = (
    _may("stop", lists.STOP, run=lambda c, p: service.stop_person(c.change(), p.login),
         effect=people.effect(lists.STOP_EFFECT), danger=True),
    _may("start", lists.START, run=lambda c, p: service.start_person(c.change(), p.login),
         effect=people.effect(lists.START_EFFECT)),
    _may("unlock", lists.UNLOCK, run=_unlock, effect=people.effect(lists.UNLOCK_EFFECT)),
    _may("remove", words.REMOVE, run=lambda c, p: service.remove_person(c.change(), p.login),
         effect=people.effect(words.REMOVE_EFFECT), danger=True),
)  # fmt: skip
"""What the list of staff does to people."""

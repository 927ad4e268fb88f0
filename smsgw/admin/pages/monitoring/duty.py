"""Duty and contacts (值班与联系人): who is on duty now, the roster by week, and whom people can turn to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.filters import read_id
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Effect
from smsgw.admin.kit.menu import Entry
from smsgw.admin.rights import route
from smsgw.admin.words import duty as words
from smsgw.core import moments
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.platform.duty import contacts, roster
from smsgw.platform.duty.contacts import Contact, Draft
from smsgw.runtime import clock

PATH, CONTACTS = "/duty", "/duty/contacts"
WEEK = PATH + "/{week:20[0-9]{2}-[01][0-9]-[0-3][0-9]}"
ONE = CONTACTS + "/{id:[0-9]{1,19}}"
EDIT = Permission.ALARM_EDIT
MENU = Entry("home.duty", PATH, Permission.HOME_VIEW)


def _monday(text: str) -> date | None:
    """The week that an address names; None for what is none."""
    try:
        day = moments.day(text)
    except ValueError:
        return None
    today = clock.now().astimezone(CHINA).date()
    return roster.monday(day) if abs(day - today) < roster.FAR - timedelta(days=8) else None


@route("GET", PATH, Permission.HOME_VIEW)
async def show(call: Call) -> web.StreamResponse:
    """Who is on duty, and whom to turn to; the roster for who sees the whole platform and its alarms."""
    whole = call.may(Permission.ALARM_VIEW) and call.actor.scope.whole is None
    today = clock.now().astimezone(CHINA).date()
    first = _monday(call.request.query.get("week", "")) or roster.monday(today)
    week = await roster.week(call.db, first) if whole else {}
    return call.render(
        "monitoring/duty.html", words=words, who=await roster.now(call.db, clock.now()), first=first, week=week,
        days=[first + timedelta(days=n) for n in range(7)], today=today, whole=whole, shifts=roster.SHIFTS,
        gaps=len(roster.gaps(first, week)), contacts=await contacts.listed(call.db), most=contacts.MOST,
        before=first - timedelta(days=7), after=first + timedelta(days=7),
        edits=whole and call.may(EDIT),
    )  # fmt: skip


# --- the roster ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Week:
    first: date
    known: Mapping[roster.Place, roster.OnDuty]


def _key(place: roster.Place) -> str:
    return f"{place[1]}_{place[0].weekday()}"


async def _week(call: Call) -> _Week | None:
    first = _monday(call.request.match_info["week"])
    if first is None or call.actor.scope.whole is not None:
        return None
    return _Week(first, await roster.week(call.db, first))


_FORM = Form([
    Inputs([Input(f"{shift}_{n}", InputKind.CHOICE, f"duty_{shift}") for shift in roster.SHIFTS], words.WEEKDAY[n])
    for n in range(7)
])  # fmt: skip


async def _people(call: Call, _: _Week) -> Mapping[str, Mapping[str, str]]:
    known = {login: f"{name} ({login})" for login, name in (await roster.people(call.db)).items()}
    return {field.key: known for field in _FORM.fields}


async def _put(call: Call, week: _Week, values: Mapping[str, Any]) -> web.Response:
    wanted = {place: values[_key(place)] for place in roster.places(week.first) if values[_key(place)]}
    await roster.put(call.change(), week.first, wanted)
    call.toast(call.gettext(words.SAVED))
    return call.redirect(f"{PATH}?week={week.first}")


def _back(week: _Week) -> str:
    return f"{PATH}?week={week.first}"


SET = FormPage(
    f"{WEEK}/edit", EDIT, words.EDIT, words.SAVE, _FORM, _put, _back, _week, choices=_people, about=words.EDIT_ABOUT,
    values=lambda week: {_key(place): one.login for place, one in week.known.items()},
)  # fmt: skip


async def _copy(call: Call, week: _Week, _: Mapping[str, Any]) -> web.Response:
    await roster.copy(call.change(), week.first)
    call.toast(call.gettext(words.COPIED))
    return call.redirect(_back(week))


async def _copy_effect(_: Call, week: _Week, __: Mapping[str, Any]) -> Effect:
    last = week.first - timedelta(days=7)
    return Effect(words.COPY_EFFECT, {"last": str(last), "first": str(week.first), "n": len(week.known)})


COPY = FormPage(
    f"{WEEK}/copy", EDIT, words.COPY, words.COPY, Form((Inputs(()),)), _copy, _back, _week, effect=_copy_effect,
    lead=lambda week: str(week.first),
)  # fmt: skip

# --- contacts --------------------------------------------------------------------------------------------------------

_CONTACT = Form((Inputs((
    Input("kind", InputKind.CHOICE, "contact_kind", choices=words.KIND, required=True),
    Input("label", label="contact_label", required=True, most=contacts.LONGEST),
    Input("value", label="contact_value", required=True, least=2, most=contacts.LONGEST),
    Input("note", label="contact_note", most=contacts.LONGEST),
)),))  # fmt: skip


async def _all(call: Call) -> Any:
    return () if call.actor.scope.whole is None else None


async def _contact(call: Call) -> Contact | None:
    id_ = read_id(call.request.match_info["id"])
    found: Sequence[Contact] = await contacts.listed(call.db) if call.actor.scope.whole is None else ()
    return next((one for one in found if one.id == id_), None)


def _draft(values: Mapping[str, Any]) -> Draft:
    return Draft(values["kind"], values["label"], values["value"], values["note"] or "")


def _done(call: Call, said: str) -> web.Response:
    call.toast(call.gettext(said))
    return call.redirect(PATH)


async def _add(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    await contacts.add(call.change(), _draft(values))
    return _done(call, words.CONTACT_SAVED)


async def _set(call: Call, one: Contact, values: Mapping[str, Any]) -> web.Response:
    await contacts.put(call.change(), one.id, _draft(values))
    return _done(call, words.CONTACT_SAVED)


async def _remove(call: Call, one: Contact, _: Mapping[str, Any]) -> web.Response:
    await contacts.remove(call.change(), one.id)
    return _done(call, words.REMOVED)


async def _remove_effect(_: Call, __: Contact, ___: Mapping[str, Any]) -> Effect:
    return Effect(words.REMOVE_EFFECT)


NEW_CONTACT = FormPage(f"{CONTACTS}/-/new", EDIT, words.CONTACT_NEW, words.SAVE, _CONTACT, _add, lambda _: PATH, _all)
EDIT_CONTACT = FormPage(
    f"{ONE}/edit", EDIT, words.CONTACT_EDIT, words.SAVE, _CONTACT, _set, lambda _: PATH, _contact,
    values=lambda one: {"kind": one.kind, "label": one.label, "value": one.value, "note": one.note},
)  # fmt: skip
REMOVE_CONTACT = FormPage(
    f"{ONE}/remove", EDIT, words.REMOVE, words.REMOVE, Form((Inputs(()),)), _remove, lambda _: PATH, _contact,
    effect=_remove_effect, lead=lambda one: one.label, danger=True,
)  # fmt: skip


def name_of(call: Call, one: roster.OnDuty | None) -> str:
    """Who is on duty, or that nobody is."""
    return (one.name or one.login) if one is not None else call.gettext(words.NOBODY)

"""Forms of templates (P3.1): applying for one, or for a copy; changing one that is not approved; deciding."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.i18n import translations
from smsgw.admin.kit.filters import Problem, read_id
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Effect
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.pages.content import common
from smsgw.admin.words import content as words
from smsgw.admin.words.messages import TYPE
from smsgw.core.permissions import Permission
from smsgw.core.templates import DEFAULT_LENGTH, MAX_CONTENT, MAX_VALUE, Form as Takes, Variable
from smsgw.platform.content import queries, service
from smsgw.platform.content.model import TEMPLATE

PATH = common.PATHS[TEMPLATE]
NEW_PATH = f"{PATH}/-/new"
_NAME, _LENGTH = re.compile(r"\w{1,32}"), re.compile(r"[0-9]{1,3}")
_FORMS = {form.value: form for form in Takes} | {
    translations(language).gettext(label).lower(): Takes(key)
    for key, label in words.FORM.items()
    for language in ("zh", "en")
}
"""What may be written for the form of a variable: its code, or its name in either language."""


def _words(given: Sequence[str]) -> tuple[str, str, str]:
    """Name, form and longest value of a line; the form and the length may be left out, and no name is no line."""
    name, *rest = given
    longest = rest.pop() if rest and _LENGTH.fullmatch(rest[-1]) else ""
    form = rest.pop(0) if rest else Takes.TEXT
    return ("" if rest else name), form, longest


def read_variables(text: str) -> dict[str, Variable]:
    """Variables, one a line: name, form, longest value. Raises ``Wrong``."""
    found = {}
    for at, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, form, longest = _words(line.split())
        takes = _FORMS.get(form.lower())
        if not _NAME.fullmatch(name) or takes is None or not 1 <= int(longest or 1) <= MAX_VALUE:
            raise Wrong("variables", Problem(words.VARIABLE_LINE, {"n": at}))
        found[name] = Variable(takes, int(longest or DEFAULT_LENGTH[takes]))
    return found


_KNOWN = (
    Input("name", required=True, most=64),
    Input("type", InputKind.CHOICE, choices=TYPE, required=True),
    Input("sign", most=20, help=words.TEMPLATE_SIGN_HELP),
    Input("content", InputKind.LINES, required=True, most=MAX_CONTENT, help=words.CONTENT_HELP),
    Input("variables", InputKind.LINES, most=2000, help=words.VARIABLES_HELP),
)
_NEW = Form((Inputs((Input("account", InputKind.CHOICE, required=True), *_KNOWN)),))
_EDIT = Form((Inputs(_KNOWN),))


async def _copied(call: Call) -> common.Row | tuple[()]:
    id_ = read_id(call.request.query.get("from", ""))
    row = None if id_ is None else await queries.one(call.db, TEMPLATE, id_, accounts=call.accounts)
    return row or ()


def _values(row: Any) -> Mapping[str, Any]:
    if not row:
        return {}
    lines = [f"{name} {one['form']} {one['most']}" for name, one in row["variables"].items()]
    plain = {key: row[key] for key in ("name", "type", "sign", "content")}
    return plain | {"account": row["account_id"], "variables": "\n".join(lines)}


async def _add(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    id_ = await service.add_template(
        call.change(), int(values["account"]), values["name"], values["type"], values["content"],
        read_variables(values["variables"]), sign=values["sign"],
    )  # fmt: skip
    call.toast(call.gettext(words.APPLIED))
    return call.redirect(f"{PATH}/{id_}")


async def _add_effect(call: Call, _: Any, values: Mapping[str, Any]) -> Effect:
    read_variables(values["variables"])
    account = own_accounts(call)[values["account"]]
    return Effect(words.TEMPLATE_ADD_EFFECT, {"account": account, "name": values["name"]})


async def _set(call: Call, row: common.Row, values: Mapping[str, Any]) -> web.Response:
    await service.set_template(
        call.change(), row["id"], values["name"], values["type"], values["content"],
        read_variables(values["variables"]), sign=values["sign"],
    )  # fmt: skip
    call.toast(call.gettext(words.APPLIED))
    return call.redirect(f"{PATH}/{row['id']}")


async def _set_effect(_: Call, __: common.Row, values: Mapping[str, Any]) -> Effect:
    read_variables(values["variables"])
    return Effect(words.TEMPLATE_SET_EFFECT, {"name": values["name"]})


NEW = FormPage(
    NEW_PATH, Permission.TEMPLATE_EDIT, words.TEMPLATE_NEW, words.APPLY, _NEW, _add, lambda _: PATH, _copied,
    values=_values, choices=common.choices, effect=_add_effect,
)  # fmt: skip
EDIT = FormPage(
    f"{PATH}/{common.ONE}/edit", Permission.TEMPLATE_EDIT, words.TEMPLATE_EDIT, words.APPLY, _EDIT, _set,
    lambda row: f"{PATH}/{row['id']}", common.subject(TEMPLATE), values=_values, effect=_set_effect,
    lead=lambda row: " · ".join(filter(None, (row["name"], row["reason"]))),
)  # fmt: skip
DECIDE, REGISTER = common.decide_page(TEMPLATE), common.register_page(TEMPLATE)

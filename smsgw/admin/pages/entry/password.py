"""Change of the own password, also at the first login (P0.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from smsgw.admin.call import SESSION_COOKIE, Call
from smsgw.admin.kit.filters import Problem
from smsgw.admin.kit.forms import Filled, Form, Input, InputKind, Inputs
from smsgw.admin.pages.entry.login import MAX_PASSWORD as MOST_TYPED
from smsgw.admin.rights import SELF, route
from smsgw.admin.strength import MAX_PASSWORD
from smsgw.admin.words import passwords as said
from smsgw.admin.words.entry import NOT_AGAIN
from smsgw.admin.words.person import PASSWORD_SET
from smsgw.platform.login import queries


def _alike(values: Mapping[str, Any]) -> Mapping[str, Problem]:
    return {} if values["new"] == values["again"] else {"again": Problem(NOT_AGAIN)}


FORM = Form(
    (Inputs((
        Input("old", InputKind.SECRET, "old_password", required=True, most=MOST_TYPED, autocomplete="current-password"),
        Input("new", InputKind.SECRET, "new_password", required=True, most=MAX_PASSWORD),
        Input("again", InputKind.SECRET, "password_again", required=True, most=MAX_PASSWORD),
    )),),
    _alike,
)  # fmt: skip


@route("GET", "/password", SELF)
async def show(call: Call) -> web.StreamResponse:
    """The form."""
    return await _page(call, FORM.blank())


@route("POST", "/password", SELF)
async def change(call: Call) -> web.StreamResponse:
    """Set the password; all sessions end, this browser gets a new one."""
    filled = FORM.read(await call.request.post())
    if not filled.good:
        return await _page(call, filled)
    old, new = filled.values["old"], filled.values["new"]
    opened = await call.portal.auth.change_password(
        call.change(), call.who, old, new, call.ip, agent=call.agent, brand=call.names
    )
    if isinstance(opened, str):
        if opened == said.TOO_MANY_TRIES:
            filled.refused = call.gettext(opened)
        else:
            filled.errors["old" if opened == said.WRONG_PASSWORD else "new"] = Problem(opened)
        return await _page(call, filled)
    call.toast(call.gettext(PASSWORD_SET))
    response = call.redirect("/")
    call.set_cookie(response, SESSION_COOKIE, opened.token)
    return response


async def _page(call: Call, filled: Filled) -> web.Response:
    policy = await queries.password_policy(call.db)
    return call.render("entry/password.html", status=200 if filled.good else 422, filled=filled, policy=policy)

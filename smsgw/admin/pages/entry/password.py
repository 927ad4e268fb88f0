"""Change of the own password, also at the first login (P0.3)."""

from __future__ import annotations

from aiohttp import web

from smsgw.admin.call import SESSION_COOKIE, Call
from smsgw.admin.rights import SELF, route
from smsgw.admin.words.entry import NOT_AGAIN
from smsgw.admin.words.person import PASSWORD_SET
from smsgw.platform.login import queries


@route("GET", "/password", SELF)
async def show(call: Call) -> web.StreamResponse:
    """The form."""
    return await _page(call)


@route("POST", "/password", SELF)
async def change(call: Call) -> web.StreamResponse:
    """Set the password; all sessions end, this browser gets a new one."""
    form = await call.request.post()
    old, new = str(form.get("old", "")), str(form.get("new", ""))
    if new != str(form.get("again", "")):
        return await _page(call, NOT_AGAIN)
    opened = await call.portal.auth.change_password(call.change(), call.who, old, new, call.ip, call.agent)
    if isinstance(opened, str):
        return await _page(call, opened)
    call.toast(call.gettext(PASSWORD_SET))
    response = call.redirect("/")
    call.set_cookie(response, SESSION_COOKIE, opened.token)
    return response


async def _page(call: Call, error: str = "") -> web.Response:
    policy = await queries.password_policy(call.db)
    return call.render(
        "entry/password.html", status=422 if error else 200, error=error, minimum=policy.length, policy=policy
    )

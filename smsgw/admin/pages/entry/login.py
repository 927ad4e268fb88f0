"""Login and logout (P0.1)."""

from __future__ import annotations

import math

from aiohttp import web

from smsgw.admin import devices
from smsgw.admin.auth import Slowed
from smsgw.admin.call import DEVICE_COOKIE, SESSION_COOKIE, Call, local_path
from smsgw.admin.i18n import N_
from smsgw.admin.rights import PUBLIC, SELF, route
from smsgw.runtime import clock

WRONG = N_("账号或密码不正确。多次失败后须等待片刻再试；如忘记密码，请联系管理员重置。")
MAX_LOGIN, MAX_PASSWORD = 128, 1024
"""Characters that are looked at."""


@route("GET", "/login", PUBLIC)
async def show(call: Call) -> web.StreamResponse:
    """The login page; those who are logged in go on."""
    onward = local_path(call.request.query.get("next"))
    if call.staff is not None:
        return call.redirect(onward)
    return _page(call, onward)


@route("POST", "/login", PUBLIC)
async def enter(call: Call) -> web.StreamResponse:
    """Check login and password; the answer never says which of them was wrong."""
    form = await call.request.post()
    login = str(form.get("login", "")).strip()[:MAX_LOGIN]
    password = str(form.get("password", ""))[:MAX_PASSWORD]
    onward = local_path(str(form.get("next", "")))
    auth, now = call.portal.auth, clock.time()
    cookie = call.cookie(DEVICE_COOKIE)
    try:
        opened = (
            await auth.login(login, password, call.ip, auth.devices.find(cookie, login, now))
            if login
            else None
        )
    except Slowed as exc:
        await call.unwelcome()
        wait = math.ceil(exc.wait)
        message = call.gettext("尝试过于频繁，请 %(n)s 秒后再试。") % {"n": wait}
        response = _page(call, onward, login=login, error=message, status=429)
        response.headers["Retry-After"] = str(wait)
        return response
    if opened is None:
        await call.unwelcome()
        return _page(call, onward, login=login, error=call.gettext(WRONG), status=401)
    if call.token and call.staff:  # the old session of this browser ends with the new login
        await auth.logout(call.token, call.staff, call.ip)
    response = call.redirect("/password" if opened.person.must_change else onward)
    call.set_cookie(response, SESSION_COOKIE, opened.token)
    renewed = auth.devices.renew(cookie, login, now)
    call.set_cookie(response, DEVICE_COOKIE, renewed, max_age=devices.DAYS * 86_400)
    return response


@route("POST", "/logout", SELF)
async def leave(call: Call) -> web.StreamResponse:
    """End the session."""
    if call.token:
        await call.portal.auth.logout(call.token, call.who, call.ip)
    response = call.redirect("/login")
    call.del_cookie(response, SESSION_COOKIE)
    response.headers["Clear-Site-Data"] = '"cache", "storage"'  # not "cookies": one's own device stays known
    return response


def _page(call: Call, onward: str, *, login: str = "", error: str = "", status: int = 200) -> web.Response:
    return call.render("entry/login.html", status=status, onward=onward, login=login, error=error)

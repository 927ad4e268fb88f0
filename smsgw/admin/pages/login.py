"""Login and logout (P0.1)."""

from __future__ import annotations

import math
import time

from aiohttp import web

from smsgw.admin.call import SESSION_COOKIE, Call, local_path
from smsgw.admin.i18n import N_
from smsgw.admin.rights import PUBLIC, SELF, route

WRONG = N_("账号或密码不正确。连续 5 次失败将锁定 15 分钟；如忘记密码，请联系管理员重置。")


@route("GET", "/login", PUBLIC)
async def show(call: Call) -> web.StreamResponse:
    """The login page; those who are logged in go on."""
    onward = local_path(call.request.query.get("next"))
    if call.staff is not None:
        return call.redirect(onward)
    return _page(call, onward)


@route("POST", "/login", PUBLIC)
async def enter(call: Call) -> web.StreamResponse:
    """Check login and password; the answer never says which of them was wrong, or that the login is locked."""
    form = await call.request.post()
    login = str(form.get("login", "")).strip()
    password = str(form.get("password", ""))
    onward = local_path(str(form.get("next", "")))
    address = call.ip or ""
    throttle = call.portal.throttle
    if wait := math.ceil(throttle.wait(address, time.monotonic())):
        message = call.gettext("尝试过于频繁，请 %(n)s 秒后再试。") % {"n": wait}
        response = _page(call, onward, login=login, error=message, status=429)
        response.headers["Retry-After"] = str(wait)
        return response
    throttle.failed(address, time.monotonic())  # counted first: parallel guesses wait as well
    opened = await call.portal.auth.login(login[:128], password[:1024], call.ip) if login else None
    if opened is None:
        return _page(call, onward, login=login, error=call.gettext(WRONG), status=401)
    throttle.succeeded(address)
    if call.token:  # the old session of this browser ends with the new login
        await call.portal.auth.logout(call.token)
    response = call.redirect("/password" if opened.staff.must_change else onward)
    call.set_cookie(response, SESSION_COOKIE, opened.token)
    return response


@route("POST", "/logout", SELF)
async def leave(call: Call) -> web.StreamResponse:
    """End the session."""
    if call.token:
        await call.portal.auth.logout(call.token)
    response = call.redirect("/login")
    call.del_cookie(response, SESSION_COOKIE)
    return response


def _page(call: Call, onward: str, *, login: str = "", error: str = "", status: int = 200) -> web.Response:
    return call.render("pages/login.html", status=status, onward=onward, login=login, error=error)

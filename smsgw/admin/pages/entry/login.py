"""Login and logout (P0.1)."""

from __future__ import annotations

import math

from aiohttp import web

from smsgw.admin import devices
from smsgw.admin.auth import BegunLogin, Elsewhere, NewSession, Slowed
from smsgw.admin.call import DEVICE_COOKIE, LOGIN_COOKIE, SESSION_COOKIE, Call, local_path
from smsgw.admin.kit.toasts import ToastKind
from smsgw.admin.rights import PUBLIC, SELF, route
from smsgw.admin.views import china_time
from smsgw.admin.words.entry import SLOWED, WRONG
from smsgw.admin.words.login import ELSEWHERE, LAST_LOGIN, OVER
from smsgw.platform.org import queries
from smsgw.runtime import clock

MAX_LOGIN, MAX_PASSWORD = 128, 1024
"""Characters that are looked at."""


@route("GET", "/login", PUBLIC)
async def show(call: Call) -> web.StreamResponse:
    """The login page; those who are logged in go on."""
    onward = local_path(call.request.query.get("next"))
    if call.staff is not None:
        return call.redirect(onward)
    if not await queries.inhabited(call.db):
        return call.redirect("/setup")
    return page(call, onward, error=call.gettext(OVER) if "over" in call.request.query else "")


@route("POST", "/login", PUBLIC)
async def enter(call: Call) -> web.StreamResponse:
    """Check login and password; the answer never says which of them was wrong."""
    form = await call.request.post()
    login = str(form.get("login", "")).strip()[:MAX_LOGIN]
    password = str(form.get("password", ""))[:MAX_PASSWORD]
    onward = local_path(str(form.get("next", "")))
    try:
        own = device(call, login)
        opened = await call.portal.auth.login(login, password, call.ip, own, call.agent) if login else None
    except Slowed as exc:
        await call.unwelcome()
        return slowed(page(call, onward, login=login, error=wait(call, exc), status=429), exc)
    except Elsewhere:
        return page(call, onward, login=login, error=elsewhere(call), status=403)
    if opened is None:
        await call.unwelcome()
        return page(call, onward, login=login, error=call.gettext(WRONG), status=401)
    if isinstance(opened, BegunLogin):
        response = call.redirect("/login/step", **({"next": onward} if onward != "/" else {}))
        call.set_cookie(response, LOGIN_COOKIE, opened.token)
        return response
    return await through(call, opened, onward)


async def through(call: Call, opened: NewSession, onward: str) -> web.Response:
    """The session begins: its cookie, and that of the device; the login before this one is shown."""
    auth, login = call.portal.auth, opened.person.login
    if call.token and call.staff:  # the old session of this browser ends with the new login
        await auth.logout(call.token, call.staff, call.ip)
    session = await auth.session(opened.token, passive=True, address=call.ip)
    if session is not None and session.former_login_at is not None:
        told = {"time": china_time(session.former_login_at), "address": session.former_login_ip or "-"}
        call.toast(call.filled(LAST_LOGIN, told), ToastKind.INFO)
    response = call.redirect("/password" if opened.person.must_change else onward)
    call.set_cookie(response, SESSION_COOKIE, opened.token)
    renewed = auth.devices.renew(call.cookie(DEVICE_COOKIE), login, clock.time())
    call.set_cookie(response, DEVICE_COOKIE, renewed, max_age=devices.DAYS * 86_400)
    if call.cookie(LOGIN_COOKIE):
        call.del_cookie(response, LOGIN_COOKIE)
    return response


def device(call: Call, login: str) -> str:
    """The name of this browser when it is the login's own."""
    return call.portal.auth.devices.find(call.cookie(DEVICE_COOKIE), login, clock.time())


def wait(call: Call, exc: Slowed) -> str:
    """How long one has to wait, in words."""
    return call.filled(SLOWED, {"n": math.ceil(exc.wait)})


def slowed(response: web.Response, exc: Slowed) -> web.Response:
    """The same for programs."""
    response.headers["Retry-After"] = str(math.ceil(exc.wait))
    return response


def elsewhere(call: Call) -> str:
    """That one must not come from here, in words."""
    return call.filled(ELSEWHERE, {"address": call.ip or "-"})


@route("POST", "/logout", SELF)
async def leave(call: Call) -> web.StreamResponse:
    """End the session."""
    if call.token:
        await call.portal.auth.logout(call.token, call.who, call.ip)
    response = call.redirect("/login")
    call.del_cookie(response, SESSION_COOKIE)
    response.headers["Clear-Site-Data"] = '"cache", "storage"'  # not "cookies": one's own device stays known
    return response


def page(call: Call, onward: str, *, login: str = "", error: str = "", status: int = 200) -> web.Response:
    """The login page."""
    return call.render("entry/login.html", status=status, onward=onward, login=login, error=error)

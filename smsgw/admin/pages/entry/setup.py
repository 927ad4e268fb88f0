"""The first run (P0): setup code, brand, first administrator; there while nobody has ever been entered, then never.

Who is logged in then goes on with ``pages/setup``."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Any

from aiohttp import web

from smsgw.admin.auth import NewSession, Slowed
from smsgw.admin.call import Call
from smsgw.admin.kit.lists import refusal
from smsgw.admin.pages.entry import login
from smsgw.admin.pages.setup import steps
from smsgw.admin.passwords import Rank
from smsgw.admin.rights import PUBLIC, route
from smsgw.admin.strength import password_problem
from smsgw.admin.words import setup as words
from smsgw.admin.words.entry import NOT_AGAIN, SLOWED
from smsgw.core.actor import Actor
from smsgw.core.addresses import place_of
from smsgw.core.brand import ANY_HOST, Look
from smsgw.core.errors import SmsgwError
from smsgw.core.guard import Guard
from smsgw.platform.brand import queries as brand_queries, service as brands
from smsgw.platform.change import Change
from smsgw.platform.handles import KeyFileError
from smsgw.platform.login import queries as login_queries
from smsgw.platform.org import service as org, setup_code
from smsgw.runtime import clock

COOKIE = "smsgw-setup"
MINUTES = 60
"""For which a browser that has shown the code goes on."""
_CONTEXT = "first run"


async def _code(call: Call) -> str:
    """The code while the first run lasts; 404 afterwards."""
    found = await setup_code.waiting(call.db, call.portal.context.sealer)
    if not found:
        raise web.HTTPNotFound
    return found


async def _has_shown(call: Call) -> bool:
    """Whether this browser has shown the code of this database, not long ago."""
    code, cookie = await _code(call), call.cookie(COOKIE)
    if not cookie or len(cookie) > 400 or not cookie.isascii():
        return False
    try:
        octets = base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4))
        shown, _, at = call.portal.context.sealer.open(octets, _CONTEXT).partition(" ")
    except (KeyFileError, binascii.Error, ValueError):
        return False
    return setup_code.fits(code, shown) and 0 <= clock.time() - int(at) < MINUTES * 60


def _page(call: Call, template: str, step: int, *, status: int = 200, **values: Any) -> web.Response:
    done = set(range(1, step))
    return call.render(template, status=status, steps=words.STEPS, step=step, done=done, links={}, **values)


def _change(call: Call) -> Change:
    return Change(call.db, Actor.system("setup"), ids=call.portal.context.ids)


@route("GET", "/setup", PUBLIC)
async def ask(call: Call) -> web.StreamResponse:
    """The form of the code."""
    if await _has_shown(call):
        return call.redirect("/setup/brand")
    return _page(call, "entry/setup_code.html", 1, error="")


@route("POST", "/setup", PUBLIC)
async def check(call: Call) -> web.StreamResponse:
    """Look at a code. The right one is never made to wait: with 80 random bits nobody comes upon it, and whoever sends
    wrong ones, from wherever, must not keep out who has read it at the machine. Wrong ones are few, and slower over and
    over, counted by network alone."""
    code, guard, address = await _code(call), call.portal.setup_guard, call.ip or ""
    given: Any = (await call.request.post()).get("code", "")
    if not setup_code.fits(code, str(given)):
        return await _wrong(call, guard, address)
    sealed = call.portal.context.sealer.seal(f"{code} {int(clock.time())}", _CONTEXT)
    response = call.redirect("/setup/brand")
    call.set_cookie(response, COOKIE, base64.urlsafe_b64encode(sealed).decode().rstrip("="), max_age=MINUTES * 60)
    return response


async def _wrong(call: Call, guard: Guard, address: str) -> web.Response:
    network, now = place_of(address), clock.steady()
    wait = guard.admit(address, network, now)
    if not wait:
        guard.failed(address, network, now)
    await call.unwelcome()
    if wait:
        error = call.filled(SLOWED, {"n": max(1, round(wait))})
        return _page(call, "entry/setup_code.html", 1, status=429, error=error)
    return _page(call, "entry/setup_code.html", 1, status=401, error=call.gettext(words.WRONG_CODE))


@route("GET", "/setup/brand", PUBLIC)
async def show_brand(call: Call) -> web.StreamResponse:
    """What the platform is called; may be left out."""
    if not await _has_shown(call):
        return call.redirect("/setup")
    return _page(call, "entry/setup_brand.html", 2, error="", look=await _look(call))


async def _look(call: Call) -> Look:
    return next((b.draft for b in await brand_queries.brands(call.db) if ANY_HOST in b.hosts), Look())


@route("POST", "/setup/brand", PUBLIC)
async def set_brand(call: Call) -> web.StreamResponse:
    """Publish it for all hosts."""
    if not await _has_shown(call):
        return call.redirect("/setup")
    form, change = await call.request.post(), _change(call)
    values = {key: str(form.get(key, "")).strip() for key in ("name", "purchaser", "colour")}
    known = {b.id for b in await brand_queries.brands(call.db) if ANY_HOST in b.hosts}
    try:
        id_ = min(known) if known else await brands.add(change, [ANY_HOST])
        await brands.draft(change, id_, values)
        if any(brand.id == id_ and brand.changed for brand in await brand_queries.brands(call.db)):
            await brands.publish(change, id_)
    except SmsgwError as exc:
        look = Look(name=values["name"], purchaser=values["purchaser"])
        return _page(call, "entry/setup_brand.html", 2, status=422, error=refusal(call, exc), look=look)
    return call.redirect("/setup/administrator")


@route("GET", "/setup/administrator", PUBLIC)
async def show_administrator(call: Call) -> web.StreamResponse:
    """The form of the first person."""
    if not await _has_shown(call):
        return call.redirect("/setup")
    return await _administrator(call)


async def _administrator(call: Call, error: str = "", who: str = "", name: str = "") -> web.Response:
    policy = await login_queries.password_policy(call.db)
    return _page(
        call, "entry/setup_administrator.html", 3, status=422 if error else 200, error=error, who=who, name=name,
        policy=policy,
    )  # fmt: skip


@route("POST", "/setup/administrator", PUBLIC)
async def set_administrator(call: Call) -> web.StreamResponse:
    """Make the first person, who may do everything, and log in; of two at once one is made."""
    if not await _has_shown(call):
        return call.redirect("/setup")
    form = await call.request.post()
    who, name = (str(form.get(key, "")).strip()[:64] for key in ("login", "name"))
    password = str(form.get("password", ""))[: login.MAX_PASSWORD]
    if password != str(form.get("again", "")):
        return await _administrator(call, call.gettext(NOT_AGAIN), who, name)
    policy, auth = await login_queries.password_policy(call.db), call.portal.auth
    async with auth.passwords.turn(place_of(call.ip or ""), Rank.KNOWN):
        problem = await asyncio.to_thread(
            password_problem, password, login=who, name=name, brand=call.names, length=policy.length,
            classes=policy.classes,
        )  # fmt: skip
        if problem:
            return await _administrator(call, call.gettext(problem), who, name)
        hashed = await auth.passwords.hash(password)
    try:
        await org.add_person(_change(call), who, name or who, ["super"], hashed, must_change=False, first=True)
    except SmsgwError as exc:
        if exc.code == "NOT_FOUND":  # another browser was first
            raise web.HTTPNotFound from exc
        return await _administrator(call, refusal(call, exc), who, name)
    return await _enter(call, who, password)


async def _enter(call: Call, who: str, password: str) -> web.Response:
    try:
        opened = await call.portal.auth.login(who, password, call.ip, "", call.agent)
    except Slowed:
        opened = None
    call.toast(call.gettext(words.READY))
    if isinstance(opened, NewSession):
        response = await login.through(call, opened, steps.CHANNEL)
    else:
        response = call.redirect("/login")
    call.del_cookie(response, COOKIE)
    return response

"""The second step of a login (P0.2): show a factor, or set one up when none is there that would do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

import segno
from aiohttp import web

from smsgw.admin.auth import Elsewhere, NewSession, Slowed
from smsgw.admin.call import LOGIN_COOKIE, Call, local_path
from smsgw.admin.errors import Stale
from smsgw.admin.kit.lists import refusal
from smsgw.admin.pages.entry.login import device, elsewhere, page, slowed, through, wait
from smsgw.admin.rights import PUBLIC, Handler, route
from smsgw.admin.words.login import DEVICE, FACTOR_WRONG, SENT
from smsgw.core import totp
from smsgw.core.actor import NOTHING, Actor, ActorKind
from smsgw.core.errors import SmsgwError
from smsgw.core.numbers import mask
from smsgw.core.permissions import Permission
from smsgw.platform.change import Change
from smsgw.platform.login import passkeys, pending, queries as login_queries
from smsgw.platform.login.codes import LoginCodes
from smsgw.platform.login.model import Begun, Factor, Standing
from smsgw.platform.org import factors, queries, service
from smsgw.platform.org.model import Person

Form = Mapping[str, Any]
ORDER = (Factor.PASSKEY, Factor.TOTP, Factor.SMS, Factor.RECOVERY)
"""In which they are offered."""


@dataclass(slots=True)
class Step:
    """Where a login stands."""

    begun: Begun
    person: Person
    standing: Standing
    onward: str

    def change(self, call: Call) -> Change:
        """What the person wishes to change: their own factors, and nothing else yet."""
        able = frozenset({Permission.SELF_EDIT})
        actor = Actor(ActorKind.PERSON, self.person.login, self.person.id, able, NOTHING, call.ip)
        return Change(call.db, actor, ids=call.portal.context.ids)

    @property
    def enrol(self) -> frozenset[Factor]:
        """What is to be set up."""
        return self.standing.enrol(self.begun.proven)


async def _step(call: Call, onward: str) -> Step | None:
    token = call.cookie(LOGIN_COOKIE)
    begun = await call.portal.auth.begun(token) if token and token.isascii() else None
    person = None if begun is None else await queries.person(call.db, begun.login)
    if begun is None or person is None:
        return None
    return Step(begun, person, await login_queries.standing(call.db, person.id), local_path(onward))


def _over(call: Call) -> web.Response:
    """It can go on no more: from the beginning."""
    response = call.redirect("/login", over="1")
    call.del_cookie(response, LOGIN_COOKIE)
    return response


def _to_step(step: Step, call: Call, by: str = "") -> web.Response:
    query = {"next": step.onward} if step.onward != "/" else {}
    return call.redirect("/login/step", **query, **({"by": by} if by else {}))


def _going_on(handler: Callable[[Call, Step, Form], Awaitable[web.StreamResponse]]) -> Handler:
    """A form of a login that has begun: with where that stands; back to the beginning when it is over."""

    @wraps(handler)
    async def answer(call: Call) -> web.StreamResponse:
        form = await call.request.post()
        step = await _step(call, str(form.get("next", "")))
        return _over(call) if step is None else await handler(call, step, form)

    return answer


@route("GET", "/login/step", PUBLIC)
async def show(call: Call) -> web.StreamResponse:
    """What is asked for now."""
    step = await _step(call, call.request.query.get("next", ""))
    return _over(call) if step is None else await _page(call, step, by=call.request.query.get("by", ""))


async def _page(call: Call, step: Step, *, by: str = "", error: str = "", status: int = 200) -> web.Response:
    ask = step.standing.ask(step.begun.proven)
    offered = [factor for factor in ORDER if factor in ask and (factor is not Factor.PASSKEY or call.site.able)]
    phone, _, _ = await factors.contact(call.db, step.person.id)
    return call.render(
        "entry/step.html", status=status, step=step, error=error, offered=offered, onward=step.onward,
        by=by if by in offered else (offered[0] if offered else ""), enrol=[f for f in ORDER if f in step.enrol],
        phone=mask(phone) if phone else "", wait=await factors.sms_wait(call.db, step.person.id),
        able=call.site.able, host=call.site.rp_id,
    )  # fmt: skip


@route("POST", "/login/step", PUBLIC)
@_going_on
async def prove(call: Call, step: Step, form: Form) -> web.StreamResponse:
    """A factor is shown."""
    name, shown = str(form.get("factor", "")), str(form.get("shown", ""))
    if name not in step.standing.ask(step.begun.proven):
        return _to_step(step, call)
    factor, auth = Factor(name), call.portal.auth
    challenge = await pending.take_challenge(call.db, step.begun) if factor is Factor.PASSKEY else None
    own = device(call, step.person.login)
    try:
        if not await auth.right(step.person, factor, shown, call.site, challenge, call.ip, own):
            await auth.wrong(step.begun)
            await call.unwelcome()
            return await _page(call, step, by=name, error=call.gettext(FACTOR_WRONG), status=401)
    except Slowed as exc:
        return slowed(await _page(call, step, by=name, error=wait(call, exc), status=429), exc)
    return await _proven(call, step, factor)


async def _proven(call: Call, step: Step, factor: Factor) -> web.StreamResponse:
    try:
        now = await call.portal.auth.proven(step.begun, factor, call.ip, device(call, step.person.login))
    except Elsewhere:
        return page(call, step.onward, login=step.person.login, error=elsewhere(call), status=403)
    if now is None:
        return _over(call)
    return await through(call, now, step.onward) if isinstance(now, NewSession) else _to_step(step, call)


@route("POST", "/login/step/sms", PUBLIC)
@_going_on
async def send(call: Call, step: Step, _: Form) -> web.StreamResponse:
    """Send a code to the phone."""
    if Factor.SMS not in step.standing.ask(step.begun.proven):
        return _to_step(step, call)
    return await _sent(call, step, "login")


def codes(call: Call) -> LoginCodes:
    """Sends codes to phones."""
    context = call.portal.context
    return LoginCodes(call.db, context.sealer, context.acceptor, context.snapshots)


async def _sent(call: Call, step: Step, purpose: str) -> web.StreamResponse:
    try:
        phone = await codes(call).send(step.person.id, purpose, first=step.begun.sent)
    except SmsgwError as exc:
        return await _page(call, step, by="sms", error=refusal(call, exc), status=429 if exc.retry_after else 422)
    await pending.sent(call.db, step.begun)
    call.toast(call.filled(SENT, {"phone": phone}))
    if purpose == "phone":
        return call.render("entry/enrol.html", step=step, factor="sms", error="", phone=phone, onward=step.onward)
    return _to_step(step, call, "sms")


@route("POST", "/login/step/passkey", PUBLIC)
async def options(call: Call) -> web.StreamResponse:
    """What the browser needs to ask for a passkey, or to make one."""
    step = await _step(call, "")
    if step is None:
        raise Stale
    if Factor.PASSKEY in step.enrol:
        context = call.portal.context
        text, challenge = await passkeys.registration(call.db, context.sealer, step.person, call.site, call.product)
    elif Factor.PASSKEY in step.standing.ask(step.begun.proven):
        text, challenge = await passkeys.authentication(call.db, step.person.id, call.site)
    else:
        raise web.HTTPForbidden
    await pending.challenge(call.db, step.begun, challenge)
    return web.Response(text=text, content_type="application/json")


@route("POST", "/login/enrol", PUBLIC)
@_going_on
async def enrol(call: Call, step: Step, form: Form) -> web.StreamResponse:
    """Begin to set up a factor."""
    name = str(form.get("factor", ""))
    if name not in step.enrol or name == Factor.PASSKEY:
        return _to_step(step, call)
    if name == Factor.TOTP:
        return await _guarded(call, step, lambda: _begin_app(call, step))
    phone, _, _ = await factors.contact(call.db, step.person.id)
    if phone:  # given by an administrator: whoever has the password alone cannot choose another one
        return await _sent(call, step, "phone")
    given = str(form.get("phone", ""))
    if not given:
        return call.render("entry/enrol.html", step=step, factor="phone", error="", onward=step.onward)
    return await _guarded(call, step, lambda: _with_number(call, step, given))


async def _guarded(call: Call, step: Step, doing: Callable[[], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
    try:
        return await doing()
    except SmsgwError as exc:
        return await _page(call, step, error=refusal(call, exc), status=422)


async def _begin_app(call: Call, step: Step) -> web.StreamResponse:
    secret = await factors.begin_totp(step.change(call), call.portal.context.sealer)
    return show_app(call, "entry/enrol.html", secret, step.person.login, step=step, factor="totp", onward=step.onward)


async def _with_number(call: Call, step: Step, given: str) -> web.StreamResponse:
    await service.set_contact(step.change(call), {"phone": given})
    return await _sent(call, step, "phone")


def show_app(call: Call, template: str, secret: str, login: str, *, error: str = "", **values: object) -> web.Response:
    """A secret for an authenticator app, as text and as a picture that is made here."""
    address = totp.address(secret, login, call.product)
    picture = segno.make(address, error="m").svg_data_uri(scale=5, border=2, dark="#000", light="#fff")
    spaced = " ".join(secret[n : n + 4] for n in range(0, len(secret), 4))
    status = 422 if error else 200
    return call.render(template, status=status, secret=spaced, picture=picture, error=error, **values)


@route("POST", "/login/enrol/confirm", PUBLIC)
@_going_on
async def confirm(call: Call, step: Step, form: Form) -> web.StreamResponse:
    """A factor that was set up is shown for the first time."""
    name, shown = str(form.get("factor", "")), "".join(str(form.get("shown", "")).split())
    if name not in step.enrol:
        return _to_step(step, call)
    sealer = call.portal.context.sealer
    try:
        if name == Factor.TOTP:
            await factors.confirm_totp(step.change(call), sealer, shown)
        elif name == Factor.SMS:
            await factors.verify_phone(step.change(call), sealer, shown)
        else:
            challenge = await pending.take_challenge(call.db, step.begun) or b""
            label = str(form.get("name", "")).strip() or call.gettext(DEVICE)
            await passkeys.register(step.change(call), shown, challenge, call.site, label)
    except SmsgwError as exc:
        await call.portal.auth.wrong(step.begun)
        return await _again(call, step, name, refusal(call, exc))
    return await _proven(call, step, Factor(name))


async def _again(call: Call, step: Step, name: str, error: str) -> web.StreamResponse:
    secret = await factors.begun_totp(call.db, call.portal.context.sealer, step.person.id)
    if name == Factor.TOTP and secret is not None:
        return show_app(
            call, "entry/enrol.html", secret, step.person.login, step=step, factor="totp", error=error,
            onward=step.onward,
        )  # fmt: skip
    if name == Factor.SMS:
        phone, _, _ = await factors.contact(call.db, step.person.id)
        return call.render(
            "entry/enrol.html", status=422, step=step, factor="sms", error=error, phone=mask(phone), onward=step.onward
        )
    return await _page(call, step, error=error, status=422)


@route("POST", "/login/cancel", PUBLIC)
async def cancel(call: Call) -> web.StreamResponse:
    """Back to the beginning."""
    step = await _step(call, "")
    if step is not None:
        await pending.end(call.db, step.begun)
    response = call.redirect("/login")
    call.del_cookie(response, LOGIN_COOKIE)
    return response

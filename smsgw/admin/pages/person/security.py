"""One's own security (P12.5): factors, recovery codes, sessions. Changes take the password or a factor within ten
minutes: a session that was left open is not enough."""

from __future__ import annotations

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.attempts import attempt
from smsgw.admin.kit.filters import read_id
from smsgw.admin.kit.lists import refusal
from smsgw.admin.pages.entry.step import show_app
from smsgw.admin.rights import SELF, Proof, route
from smsgw.admin.words.login import BOUND, ENDED, ENDED_OTHERS, UNBOUND
from smsgw.core.errors import SmsgwError
from smsgw.platform.login import passkeys
from smsgw.platform.org import factors, queries, service, sessions

PAGE = "/me/security"


async def _page(call: Call, error: str = "", status: int = 200) -> web.Response:
    return call.render(
        "person/security.html", status=status, error=error, factors=await factors.factors(call.db, call.who.id),
        passkeys=await passkeys.passkeys(call.db, call.who.id), able=call.site.able, host=call.site.rp_id,
        sessions=await queries.sessions(call.db, call.who.login), session=call.session,
    )  # fmt: skip


@route("GET", PAGE, SELF)
async def show(call: Call) -> web.StreamResponse:
    """All of it."""
    return await _page(call)


@route("POST", "/me/app", SELF, step_up=Proof.PASSWORD)
async def begin_app(call: Call) -> web.StreamResponse:
    """Begin to bind an authenticator app: its secret is shown, once."""
    try:
        secret = await factors.begin_totp(call.change(), call.portal.context.sealer)
    except SmsgwError as exc:
        return await _page(call, refusal(call, exc), 409)
    return show_app(call, "person/app.html", secret, call.who.login)


@route("POST", "/me/app/confirm", SELF, step_up=Proof.PASSWORD)
async def confirm_app(call: Call) -> web.StreamResponse:
    """The app shows the right code."""
    form = await call.request.post()
    sealer = call.portal.context.sealer
    try:
        await factors.confirm_totp(call.change(), sealer, "".join(str(form.get("shown", "")).split()))
    except SmsgwError as exc:
        secret = await factors.begun_totp(call.db, sealer, call.who.id)
        if secret is None:
            return await _page(call, refusal(call, exc), 422)
        return show_app(call, "person/app.html", secret, call.who.login, error=refusal(call, exc))
    call.toast(call.gettext(BOUND))
    return call.redirect(PAGE)


@route("POST", "/me/app/remove", SELF, step_up=Proof.PASSWORD)
async def remove_app(call: Call) -> web.StreamResponse:
    """Unbind the app."""
    return await attempt(call, factors.remove_totp(call.change()), UNBOUND, PAGE, _page, status=409)


@route("POST", "/me/passkey/options", SELF, step_up=Proof.PASSWORD, kept=False)
async def passkey_options(call: Call) -> web.StreamResponse:
    """What the browser needs to make a passkey."""
    if call.session is None:
        raise web.HTTPForbidden
    text, challenge = await passkeys.registration(
        call.db, call.portal.context.sealer, call.who, call.site, call.product
    )
    await sessions.challenge(call.db, call.session.id, challenge)
    return web.Response(text=text, content_type="application/json")


@route("POST", "/me/passkey", SELF, step_up=Proof.PASSWORD)
async def add_passkey(call: Call) -> web.StreamResponse:
    """Keep the passkey that the device has made."""
    form = await call.request.post()
    challenge = call.session.challenge if call.session else None
    if call.session is not None:
        await sessions.challenge(call.db, call.session.id, None)
    made, name = str(form.get("shown", "")), str(form.get("name", ""))
    kept = passkeys.register(call.change(), made, challenge or b"", call.site, name)
    return await attempt(call, kept, BOUND, PAGE, _page)


@route("POST", "/me/passkey/remove", SELF, step_up=Proof.PASSWORD)
async def remove_passkey(call: Call) -> web.StreamResponse:
    """Forget a passkey."""
    form = await call.request.post()
    try:
        credential = bytes.fromhex(str(form.get("id", "")))
    except ValueError as exc:
        raise web.HTTPBadRequest from exc
    return await attempt(call, factors.remove_passkey(call.change(), credential), UNBOUND, PAGE, _page)


@route("POST", "/me/recovery", SELF, step_up=Proof.PASSWORD)
async def recovery(call: Call) -> web.StreamResponse:
    """New recovery codes, shown once."""
    return call.render("person/codes.html", codes=await factors.make_recovery_codes(call.change()))


@route("POST", "/me/sessions/end", SELF)
async def end(call: Call) -> web.StreamResponse:
    """End one of one's own sessions, or all others."""
    form = await call.request.post()
    which = str(form.get("id", ""))
    try:
        if which == "others" and call.session is not None:
            ended = await service.end_other_sessions(call.change(), call.session.id)
            call.toast(call.filled(ENDED_OTHERS, {"n": ended}))
        else:
            await service.end_session(call.change(), read_id(which) or 0)
            call.toast(call.gettext(ENDED))
    except SmsgwError as exc:
        return await _page(call, refusal(call, exc), 422)
    return call.redirect(PAGE)

"""Showing again who one is, before something dangerous (step-up): an app or a passkey, or the password where that will
do and there is nothing better."""

from __future__ import annotations

from aiohttp import web

from smsgw.admin import proving
from smsgw.admin.auth import Slowed
from smsgw.admin.call import Call
from smsgw.admin.kit.pieces import in_dialog
from smsgw.admin.pages.entry.login import device, slowed, wait
from smsgw.admin.proving import PASSWORD, PREFIX, Asked
from smsgw.admin.rights import SELF, route
from smsgw.admin.words.login import FACTOR_WRONG, PROVEN
from smsgw.platform.login import passkeys
from smsgw.platform.login.model import Factor
from smsgw.platform.org import sessions


@route("GET", "/proof", SELF)
async def show(call: Call) -> web.StreamResponse:
    """What will do."""
    return await proving.page(call, Asked.of_query(call), call.request.query.get("by", ""))


@route("POST", "/proof", SELF)
async def prove(call: Call) -> web.StreamResponse:
    """It is shown; or another way is chosen."""
    form = await call.request.post()
    asked, by = Asked.of_form(form), str(form.get(PREFIX + "by", ""))
    if other := str(form.get(PREFIX + "other", "")):
        return await proving.page(call, asked, other)
    if call.session is None or by not in await proving.ways(call, asked.proof):
        return await proving.page(call, asked)
    try:
        right = await _right(call, by, str(form.get(PREFIX + "shown", "")))
    except Slowed as exc:
        return slowed(await proving.page(call, asked, by, wait(call, exc), 429), exc)
    if not right:
        return await proving.page(call, asked, by, call.gettext(FACTOR_WRONG), 422)
    await sessions.prove(call.db, call.who, call.session.id, call.ip, factor=by)
    if asked.kept is None and not in_dialog(call):
        call.toast(call.gettext(PROVEN))
    return asked.onward_response()


async def _right(call: Call, by: str, shown: str) -> bool:
    auth = call.portal.auth
    if by == PASSWORD:
        return await auth.know_password(call.who, shown[:1024])
    assert call.session is not None  # noqa: S101 - looked at by the caller
    challenge = call.session.challenge
    if by == Factor.PASSKEY:
        await sessions.challenge(call.db, call.session.id, None)
    own = device(call, call.who.login)
    return await auth.right(call.who, Factor(by), shown, call.site, challenge, call.ip, own)


@route("POST", "/proof/passkey", SELF)
async def options(call: Call) -> web.StreamResponse:
    """What the browser needs to ask for a passkey."""
    text, challenge = await passkeys.authentication(call.db, call.who.id, call.site)
    if call.session is None:
        raise web.HTTPForbidden
    await sessions.challenge(call.db, call.session.id, challenge)
    return web.Response(text=text, content_type="application/json")

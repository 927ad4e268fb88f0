"""Showing again who one is, before something dangerous (step-up): an app or a passkey, or the password where that will
do and there is nothing better."""

from __future__ import annotations

from aiohttp import web

from smsgw.admin.auth import Slowed
from smsgw.admin.call import Call, local_path
from smsgw.admin.pages.entry.login import device, slowed, wait
from smsgw.admin.rights import SELF, route
from smsgw.admin.words.login import FACTOR_WRONG, PROVEN
from smsgw.platform.login import passkeys
from smsgw.platform.login import queries as login_queries
from smsgw.platform.login.model import STRONG, Factor
from smsgw.platform.org import sessions

PASSWORD = "password"  # noqa: S105 - a name of a way


async def _ways(call: Call, strong: bool) -> list[str]:
    standing = await login_queries.standing(call.db, call.who.id)
    able = standing.enrolled & STRONG
    if not call.site.able:
        able -= {Factor.PASSKEY}
    ways = [factor.value for factor in (Factor.PASSKEY, Factor.TOTP) if factor in able]
    return ways or ([] if strong else [PASSWORD])


async def _page(call: Call, onward: str, strong: bool, by: str, error: str = "", status: int = 200) -> web.Response:
    ways = await _ways(call, strong)
    return call.render(
        "person/proof.html", status=status, onward=onward, strong=strong, ways=ways, error=error,
        by=by if by in ways else (ways[0] if ways else ""),
    )  # fmt: skip


@route("GET", "/proof", SELF)
async def show(call: Call) -> web.StreamResponse:
    """What will do."""
    query = call.request.query
    return await _page(call, local_path(query.get("next")), query.get("strong") == "1", query.get("by", ""))


@route("POST", "/proof", SELF)
async def prove(call: Call) -> web.StreamResponse:
    """It is shown."""
    form = await call.request.post()
    onward, strong = local_path(str(form.get("next", ""))), form.get("strong") == "1"
    by, shown = str(form.get("factor", "")), str(form.get("shown", ""))
    if call.session is None or by not in await _ways(call, strong):
        return await _page(call, onward, strong, "")
    try:
        right = await _right(call, by, shown)
    except Slowed as exc:
        return slowed(await _page(call, onward, strong, by, wait(call, exc), 429), exc)
    if not right:
        return await _page(call, onward, strong, by, call.gettext(FACTOR_WRONG), 422)
    await sessions.prove(call.db, call.who, call.session.id, call.ip, factor=by)
    call.toast(call.gettext(PROVEN))
    return call.redirect(onward)


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

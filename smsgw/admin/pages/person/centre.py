"""The personal centre (P12.5): who one is, the contact and its verified number, the people of the department."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.attempts import attempt
from smsgw.admin.kit.lists import refusal
from smsgw.admin.pages.entry.step import codes
from smsgw.admin.rights import SELF, Proof, route
from smsgw.admin.words import notices as notice_words
from smsgw.admin.words.login import PHONE_VERIFIED, SAVED, SENT
from smsgw.core.actor import Scope
from smsgw.core.errors import SmsgwError
from smsgw.core.numbers import mask
from smsgw.platform.notices import queries as notices
from smsgw.platform.org import factors, queries, service
from smsgw.platform.preferences import queries as preferences, service as preference_service

PAGE = "/me"


async def _page(call: Call, error: str = "", status: int = 200, typed: Mapping[str, str] | None = None) -> web.Response:
    """``typed``: fields of a form that was refused, to be mended and not typed again."""
    phone, verified, email = await factors.contact(call.db, call.who.id)
    shown = {"name": call.who.name, "email": email, "phone": "", "shown": ""} | dict(typed or {})
    own = call.who.reach.department
    colleagues = [] if own is None else await queries.people(call.db, Scope(departments=(own,)))
    return call.render(
        "person/centre.html", status=status, error=error, phone=mask(phone) if phone else "", verified=verified,
        typed=shown, colleagues=[row for row in colleagues if row["status"] == "active"],
        wait=await factors.sms_wait(call.db, call.who.id), session=call.session,
        notice_kinds=notices.CHOSEN, notice_words=notice_words,
        quiet_kinds=(await preferences.value(call.db, call.actor, notices.PREFERENCE)).get("off", ()),
    )  # fmt: skip


@route("GET", PAGE, SELF)
async def show(call: Call) -> web.StreamResponse:
    """All of it."""
    return await _page(call)


@route("POST", "/me/notices", SELF)
async def choose(call: Call) -> web.StreamResponse:
    """Which kinds of messages the person wishes to get."""
    form = await call.request.post()
    wanted = form.getall("kinds", [])
    off = [kind for kind in notices.CHOSEN if kind not in wanted]
    await preference_service.set_value(call.change(), notices.PREFERENCE, {"off": off})
    call.toast(call.gettext(SAVED))
    return call.redirect(PAGE)


@route("POST", "/me/contact", SELF, step_up=Proof.PASSWORD)
async def contact(call: Call) -> web.StreamResponse:
    """Change name, mail address, number; a new number has to be verified anew."""
    form = await call.request.post()
    typed = {field: str(form.get(field, "")).strip()[:256] for field in ("name", "email", "phone")}
    # a number that is empty is shown masked, and stays
    changes = {field: value for field, value in typed.items() if value or field != "phone"}
    again = partial(_page, typed=typed)
    return await attempt(call, service.set_contact(call.change(), changes), SAVED, PAGE, again)


@route("POST", "/me/phone/code", SELF)
async def send(call: Call) -> web.StreamResponse:
    """Send a code to the number, to show that it is one's own."""
    try:
        phone = await codes(call).send(call.who.id, "phone")
    except SmsgwError as exc:
        return await _page(call, refusal(call, exc), 429 if exc.retry_after else 422)
    call.toast(call.filled(SENT, {"phone": phone}))
    return call.redirect(PAGE)


@route("POST", "/me/phone", SELF, step_up=Proof.PASSWORD)
async def verify(call: Call) -> web.StreamResponse:
    """The code is shown: login codes may go to the number."""
    form = await call.request.post()
    shown = str(form.get("shown", "")).strip()[:8]
    verified = factors.verify_phone(call.change(), call.portal.context.sealer, shown)
    return await attempt(call, verified, PHONE_VERIFIED, PAGE, partial(_page, typed={"shown": shown}))

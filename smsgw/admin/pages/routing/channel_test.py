"""The connection test of a channel (P10.1): what it finds, stage by stage as it goes; and a first message by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.filters import Problem
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Effect, refusal
from smsgw.admin.pages.routing.channels import ONE, PATH, channel
from smsgw.admin.pages.setup.channel_forms import SIMULATED
from smsgw.admin.rights import route
from smsgw.admin.words import routing as words
from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.platform.channels import checks, service
from smsgw.platform.channels.model import ChannelView

LOGIN = "login"
"""The button that logs in although the login is at work."""


async def _subject(call: Call) -> ChannelView:
    found = await channel(call)
    if found is None or found.profile.get(SIMULATED):
        raise web.HTTPNotFound
    return found


async def _shown(call: Call, one: ChannelView) -> dict[str, Any]:
    status = next((s for s in call.portal.context.channel_status() if s.id == one.id), None)
    return {
        "one": one, "check": await checks.last(call.db, one.id), "stages": words.CHECK_STAGE,
        "verdicts": words.CHECK_VERDICT, "live": status.bound if status else 0,
    }  # fmt: skip


@route("GET", ONE + "/test", Permission.CHANNEL_EDIT)
async def show(call: Call) -> web.StreamResponse:
    """The last test, and the buttons for another one."""
    return await _page(call, await _subject(call))


@route("GET", ONE + "/test/live", Permission.CHANNEL_EDIT, passive=True)
async def live(call: Call) -> web.StreamResponse:
    """The part of it that changes."""
    return call.piece("routing/channel_test_live.html", **await _shown(call, await _subject(call)))


@route("POST", ONE + "/test", Permission.CHANNEL_EDIT)
async def begin(call: Call) -> web.StreamResponse:
    """Test it, in the background."""
    one, data = await _subject(call), await call.request.post()
    context = call.portal.context
    try:
        await checks.begin(call.change(), context.checker, context.sealer, one.id, login=LOGIN in data)
    except Refused as exc:
        return await _page(call, one, refusal(call, exc))
    return call.redirect(f"{PATH}/{one.id}/test")


async def _page(call: Call, one: ChannelView, refused: str = "") -> web.Response:
    return call.render(
        "routing/channel_test.html", status=422 if refused else 200, refused=refused, steps=words.WIZARD,
        new=one.desired == "stopped", **await _shown(call, one),
    )  # fmt: skip


# --- a first message -------------------------------------------------------------------------------------------------

_TO = Input("number", InputKind.PHONE, required=True, help=words.PROBE_HELP, autocomplete="tel")


async def _probed(call: Call) -> ChannelView | None:
    found = await channel(call)
    return found if found is not None and found.desired == "started" else None


async def _effect(call: Call, one: ChannelView, values: Mapping[str, Any]) -> Effect:
    return Effect(words.PROBE_EFFECT, {"number": values["number"], "channel": one.name})


async def _send(call: Call, one: ChannelView, values: Mapping[str, Any]) -> web.StreamResponse:
    prober = call.portal.context.prober
    try:
        message_id = await service.probe(call.change(), prober, one.name, f"+{values['number']}")
    except Invalid as exc:
        if exc.code == "NOT_FOUND":
            raise Wrong("number", Problem(words.PROBE_ELSEWHERE)) from exc
        raise
    call.toast(call.gettext(words.PROBE_SENT))
    return call.redirect(f"/records/{message_id}" if call.may(Permission.MESSAGE_VIEW) else f"{PATH}/{one.id}")


PROBE = FormPage(
    f"{ONE}/probe", Permission.CHANNEL_TEST, words.PROBE_TITLE, words.PROBE_SEND, Form((Inputs((_TO,)),)), _send,
    lambda one: f"{PATH}/{one.id}", _probed, effect=_effect, lead=lambda one: one.name,
)  # fmt: skip

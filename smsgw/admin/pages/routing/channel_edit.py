"""The forms of channels: a new one by its protocol, and one that is there; the same as in the first run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from smsgw.admin import words as all_words
from smsgw.admin.call import Call
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Filled
from smsgw.admin.kit.lists import refusal
from smsgw.admin.kit.pieces import field_alone
from smsgw.admin.pages.routing.channels import ONE, PATH, channel
from smsgw.admin.pages.setup import channel as first_run, channel_forms as forms
from smsgw.admin.rights import PROOFS, route
from smsgw.admin.words import routing as words, setup as setup_words
from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.platform.channels import service
from smsgw.platform.channels.model import ChannelView

NEW = PATH + "/-/new"
_PROOF = PROOFS[Permission.CHANNEL_EDIT]


@route("GET", NEW, Permission.CHANNEL_EDIT)
async def choose(call: Call) -> web.StreamResponse:
    """Which protocol is wanted."""
    return call.render(
        "routing/channel_choice.html", steps=words.WIZARD, about=setup_words.ABOUT, protocols=all_words.PROTOCOL
    )


def _new(protocol: str) -> FormPage:
    async def save(call: Call, _: Any, values: Mapping[str, Any]) -> web.StreamResponse:
        stopped = {"protocol": protocol, "desired": "stopped"}  # until it was tested and somebody starts it
        id_ = await service.add(
            call.change(), call.portal.context.sealer, values["name"], stopped | forms.fields(protocol, values, {})
        )
        call.toast(call.gettext(words.MADE))
        return call.redirect(f"{PATH}/{id_}/test")

    return FormPage(
        f"{NEW}/{protocol}", Permission.CHANNEL_EDIT, words.ADD_TITLE, words.NEXT_TEST,
        forms.form(protocol, new=True), save, lambda _: NEW, values=lambda _: forms.first_values(protocol),
        about=setup_words.ABOUT[protocol],
    )  # fmt: skip


CMPP3, CMPP2, SMPP, SGIP, SMGP = map(_new, ("cmpp30", "cmpp20", "smpp34", "sgip12", "smgp30"))


# --- a copy ----------------------------------------------------------------------------------------------------------


@route("GET", ONE + "/copy", Permission.CHANNEL_EDIT, step_up=_PROOF)
async def ask_copy(call: Call) -> web.StreamResponse:
    """The form of a new channel, with what another one is set to; its name and password are to be entered."""
    one = await _editable(call)
    return _copy_form(call, one, forms.form(one.protocol, new=True).blank(forms.values_of(one)))


@route("POST", ONE + "/copy", Permission.CHANNEL_EDIT, step_up=_PROOF)
async def copy(call: Call) -> web.StreamResponse:
    """Make it, stopped; what no form says of the other's profile is copied as well, but for its password."""
    one, data = await _editable(call), await call.request.post()
    filled = forms.form(one.protocol, new=True).read(data)
    if alone := field_alone(call, filled, data):
        return alone
    if filled.good:
        kept = {key: value for key, value in one.profile.items() if key != forms.PEER_PASSWORD}
        fields = {"protocol": one.protocol, "desired": "stopped", "unknown_policy": one.unknown_policy}
        try:
            id_ = await service.add(
                call.change(), call.portal.context.sealer, filled.values["name"],
                fields | forms.fields(one.protocol, filled.values, kept),
                reason=call.filled(words.COPIED, {"name": one.name}),
            )  # fmt: skip
        except (Invalid, Refused) as exc:
            filled.refuse(exc, refusal(call, exc))
        else:
            call.toast(call.gettext(words.MADE))
            return call.redirect(f"{PATH}/{id_}/test")
    return _copy_form(call, one, filled)


def _copy_form(call: Call, one: ChannelView, filled: Filled) -> web.Response:
    return call.render(
        "routing/channel_form.html", status=200 if filled.good else 422, filled=filled, one=one,
        title=words.COPY_TITLE, send=words.NEXT_TEST, back=f"{PATH}/{one.id}",
    )  # fmt: skip


# --- one that is there -----------------------------------------------------------------------------------------------


async def _editable(call: Call) -> ChannelView:
    """The one of the address; a simulated one has nothing to be set."""
    found = await channel(call)
    if found is None or found.profile.get(forms.SIMULATED):
        raise web.HTTPNotFound
    return found


@route("GET", ONE + "/edit", Permission.CHANNEL_EDIT, step_up=_PROOF)
async def ask(call: Call) -> web.StreamResponse:
    """The form of a channel that is there."""
    one = await _editable(call)
    return _form(call, one, forms.form(one.protocol, new=False).blank(forms.values_of(one)))


@route("POST", ONE + "/edit", Permission.CHANNEL_EDIT, step_up=_PROOF)
async def save(call: Call) -> web.StreamResponse:
    """Change it; it connects anew where that is needed."""
    one, data = await _editable(call), await call.request.post()
    filled = forms.read(one, data)
    if alone := field_alone(call, filled, data):
        return alone
    if filled.good and await first_run.saved(call, filled, first_run.change(call, one, filled.values)):
        return call.redirect(f"{PATH}/{one.id}")
    return _form(call, one, filled)


def _form(call: Call, one: ChannelView, filled: Filled) -> web.Response:
    return call.render(
        "routing/channel_form.html", status=200 if filled.good else 422, filled=filled, one=one,
        title=words.SET_TITLE, send=words.SAVE, back=f"{PATH}/{one.id}",
    )  # fmt: skip

"""The step of the channel: one to a carrier, by its protocol, or the simulated carrier; and whether it gets through."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from smsgw.admin import words as all_words
from smsgw.admin.call import Call
from smsgw.admin.kit.filters import read_id
from smsgw.admin.kit.forms import Filled
from smsgw.admin.kit.lists import refusal
from smsgw.admin.kit.pieces import field_alone
from smsgw.admin.pages.setup import channel_forms as forms, steps
from smsgw.admin.rights import route
from smsgw.admin.words import setup as words
from smsgw.core.errors import Invalid, Refused
from smsgw.core.model import ChannelStatus
from smsgw.core.permissions import Permission
from smsgw.platform.channels import queries, service
from smsgw.platform.channels.model import ChannelView
from smsgw.platform.channels.versions import Made

STEP = 4
NEW = steps.CHANNEL + "/new"
_ONE = steps.CHANNEL + "/{id:[0-9]{1,9}}"
_PROTOCOL = NEW + "/{protocol:" + "|".join(forms.PORTS) + "}"


@dataclass(frozen=True, slots=True)
class Line:
    """A channel, and how it is doing right now."""

    channel: ChannelView
    state: str
    error: str
    """The last one, while it is not logged in."""

    @property
    def simulated(self) -> bool:
        """Whether nobody gets what goes there."""
        return self.channel.profile.get(forms.SIMULATED) is True

    @property
    def up(self) -> bool:
        """Whether it is logged in, or will be as soon as there is something to send."""
        return self.state in ("bound", "idle")


async def lines(call: Call) -> list[Line]:
    """All channels."""
    known = {status.id: status for status in call.portal.context.channel_status()}
    return [_line(channel, known.get(channel.id)) for channel in await queries.channels(call.db)]


def _line(channel: ChannelView, status: ChannelStatus | None) -> Line:
    if channel.desired != "started":
        return Line(channel, "stopped", "")
    if status is None or status.state == "stopped":  # it was made a moment ago
        return Line(channel, "connecting", "")
    return Line(channel, status.state, status.last_error if status.state not in ("bound", "idle") else "")


@route("GET", steps.CHANNEL, Permission.CHANNEL_EDIT)
async def show(call: Call) -> web.StreamResponse:
    """The channels with their state; without any: which kind is wanted."""
    found = await lines(call)
    if not found:
        return await _choice(call)
    return await steps.page(call, "setup/channel.html", STEP, lines=found, advice=words.ADVICE)


@route("GET", steps.CHANNEL + "/live", Permission.CHANNEL_EDIT, passive=True)
async def live(call: Call) -> web.StreamResponse:
    """The part that changes."""
    return call.piece("setup/channel_live.html", lines=await lines(call), advice=words.ADVICE)


@route("GET", NEW, Permission.CHANNEL_EDIT)
async def choose(call: Call) -> web.StreamResponse:
    """Which kind is wanted."""
    return await _choice(call)


async def _choice(call: Call, error: str = "") -> web.Response:
    return await steps.page(
        call, "setup/channel_choice.html", STEP, status=422 if error else 200, error=error, about=words.ABOUT,
        protocols=all_words.PROTOCOL, lines=await lines(call),
    )  # fmt: skip


@steps.guarded("POST", NEW + "/" + forms.SIMULATED, Permission.CHANNEL_EDIT)
async def simulate(call: Call) -> web.StreamResponse:
    """Make or start the channel to the carrier inside the daemon."""
    found = next((line for line in await lines(call) if line.simulated), None)
    change, sealer = call.change(), call.portal.context.sealer
    try:
        if found is not None:
            await service.edit(change, sealer, found.channel.name, {"desired": "started"})
        else:
            await service.add(change, sealer, forms.SIMULATED, {
                "protocol": "cmpp30", "host": "localhost", "port": forms.PORTS["cmpp30"], "username": forms.SIMULATED,
                "password": "", "profile": {forms.SIMULATED: True},
            })  # fmt: skip
    except (Invalid, Refused) as exc:
        return await _choice(call, refusal(call, exc))
    call.toast(call.gettext(words.SIMULATED_MADE))
    return call.redirect(steps.CHANNEL)


@steps.guarded("GET", _PROTOCOL, Permission.CHANNEL_EDIT)
async def ask_new(call: Call) -> web.StreamResponse:
    """The form of a protocol."""
    protocol = call.request.match_info["protocol"]
    return await _form(call, protocol, forms.form(protocol, new=True).blank(forms.first_values(protocol)))


@steps.guarded("POST", _PROTOCOL, Permission.CHANNEL_EDIT)
async def add(call: Call) -> web.StreamResponse:
    """Make the channel, and stop a simulated one: they must not run together."""
    protocol, data = call.request.match_info["protocol"], await call.request.post()
    filled = forms.form(protocol, new=True).read(data)
    if alone := field_alone(call, filled, data):
        return alone
    if filled.good and await saved(call, filled, make(call, protocol, filled.values)):
        return call.redirect(steps.CHANNEL)
    return await _form(call, protocol, filled)


async def make(call: Call, protocol: str, values: Mapping[str, Any]) -> None:
    """Make a channel of what a form says; simulated ones stop, as they must not run beside it."""
    change, sealer = call.change(), call.portal.context.sealer
    simulated = [line.channel.name for line in await lines(call) if line.simulated and line.state != "stopped"]
    async with change.unit(Permission.CHANNEL_EDIT) as unit:
        unit.unchanged()  # what is done has entries of its own
        for name in simulated:
            await service.edit(change, sealer, name, {"desired": "stopped"})
        await service.add(change, sealer, values["name"], {"protocol": protocol} | forms.fields(protocol, values, {}))
    if simulated:
        call.toast(call.gettext(words.SIMULATED_STOPPED))


async def _channel(call: Call) -> ChannelView:
    """The one of the address; a simulated one has nothing to be set."""
    id_ = read_id(call.request.match_info["id"])
    found = next((c for c in await queries.channels(call.db) if c.id == id_), None)
    if found is None or found.profile.get(forms.SIMULATED):
        raise web.HTTPNotFound
    return found


@steps.guarded("GET", _ONE, Permission.CHANNEL_EDIT)
async def ask_again(call: Call) -> web.StreamResponse:
    """The form of a channel that is there, above all when it does not get through."""
    one = await _channel(call)
    return await _form(call, one.protocol, forms.form(one.protocol, new=False).blank(forms.values_of(one)), one)


@steps.guarded("POST", _ONE, Permission.CHANNEL_EDIT)
async def set_one(call: Call) -> web.StreamResponse:
    """Change it; it connects anew where that is needed."""
    one, data = await _channel(call), await call.request.post()
    filled = forms.read(one, data)
    if alone := field_alone(call, filled, data):
        return alone
    if filled.good and await saved(call, filled, change(call, one, filled.values)):
        return call.redirect(steps.CHANNEL)
    return await _form(call, one.protocol, filled, one)


async def change(call: Call, one: ChannelView, values: Mapping[str, Any]) -> Made | None:
    """Give a channel what a form says, if that is anything new; the version that is made."""
    changes = forms.fields(one.protocol, values, one.profile)
    before = {name: getattr(one, name, None) for name in changes} | {"carriers": sorted(one.carriers)}
    moved = {name: value for name, value in changes.items() if value != before[name]}
    if not moved:
        return None
    return await service.edit(
        call.change(), call.portal.context.sealer, one.name, moved, reason=values.get("reason") or ""
    )


async def saved(call: Call, filled: Filled, doing: Awaitable[Made | None]) -> bool:
    """Whether it was done; what the service refuses stands in the form."""
    try:
        made = await doing
    except (Invalid, Refused) as exc:
        filled.refuse(exc, refusal(call, exc))
        return False
    if made is not None and made.waiting:
        call.toast(call.filled(words.CHANNEL_WAITS, {"n": made.number}))
    else:
        call.toast(call.gettext(words.CHANNEL_SAVED))
    return True


async def _form(call: Call, protocol: str, filled: Filled, one: ChannelView | None = None) -> web.Response:
    return await steps.page(
        call, "setup/channel_form.html", STEP, status=200 if filled.good else 422, filled=filled, one=one,
        protocol=all_words.PROTOCOL[protocol], about=words.ABOUT[protocol], address=call.request.path,
        send=words.SAVE_CHANNEL,
    )  # fmt: skip

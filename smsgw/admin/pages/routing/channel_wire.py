"""Live PDUs of a channel (P10.2; 实时报文): masked, for a minute, decoded field by field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.lists import refusal
from smsgw.admin.pages.routing.channels import ONE, PATH, channel
from smsgw.admin.rights import route
from smsgw.admin.words import routing as words
from smsgw.core.decoded import Decoded
from smsgw.core.errors import Refused
from smsgw.core.permissions import Permission
from smsgw.platform.channels.model import ChannelView
from smsgw.platform.channels.watching import KEPT, MOST_PDUS, SECONDS, Passed


@dataclass(frozen=True, slots=True)
class Line:
    """A PDU, and its fields."""

    passed: Passed
    decoded: Decoded


async def _subject(call: Call) -> ChannelView:
    found = await channel(call)
    if found is None:
        raise web.HTTPNotFound
    return found


async def _shown(call: Call, one: ChannelView) -> dict[str, Any]:
    watch = await call.portal.context.watches.seen(one.id, call.actor.label)
    decode = call.portal.context.decode
    pdus = reversed(watch.pdus) if watch else ()
    lines = [Line(p, decode(p.protocol or one.protocol, p.octets)) for p in pdus]
    return {"one": one, "watch": watch, "lines": lines, "most": MOST_PDUS, "ends": words.WIRE_ENDS}


@route("GET", ONE + "/wire", Permission.CHANNEL_TEST)
async def show(call: Call) -> web.StreamResponse:
    """What was seen at last, and the button."""
    return await _page(call, await _subject(call))


@route("GET", ONE + "/wire/live", Permission.CHANNEL_TEST, passive=True)
async def live(call: Call) -> web.StreamResponse:
    """The part of it that changes."""
    return call.piece("routing/channel_wire_live.html", **await _shown(call, await _subject(call)))


@route("POST", ONE + "/wire", Permission.CHANNEL_TEST)
async def begin(call: Call) -> web.StreamResponse:
    """Look for a minute."""
    one = await _subject(call)
    try:
        await call.portal.context.watches.begin(call.change(), call.portal.context.running, one.id, one.name)
    except Refused as exc:
        return await _page(call, one, refusal(call, exc))
    return call.redirect(f"{PATH}/{one.id}/wire")


async def _page(call: Call, one: ChannelView, refused: str = "") -> web.Response:
    return call.render(
        "routing/channel_wire.html", status=422 if refused else 200, refused=refused, seconds=int(SECONDS),
        kept=int(KEPT / 60), **await _shown(call, one),
    )  # fmt: skip

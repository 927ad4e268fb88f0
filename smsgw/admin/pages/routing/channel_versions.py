"""Versions of a channel (P10.1; 版本): who changed what, when and why; approved by a second person, and put back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.filters import read_id
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Effect
from smsgw.admin.pages.routing import channels
from smsgw.admin.pages.routing.channels import ONE, PATH
from smsgw.admin.rights import route
from smsgw.admin.words import TERMS, routing as words
from smsgw.core.permissions import Permission
from smsgw.platform.channels import service, versions
from smsgw.platform.channels.model import ChannelView
from smsgw.platform.channels.versions import Difference, State, Version

LIST = ONE + "/versions"
THIS = LIST + "/{number:[0-9]{1,9}}"


@dataclass(frozen=True, slots=True)
class Shown:
    """A version of the address, and its channel."""

    channel: ChannelView
    version: Version
    active: int
    """The version in force."""

    @property
    def path(self) -> str:
        """Its page."""
        return f"{PATH}/{self.channel.id}/versions/{self.version.number}"


@route("GET", LIST, Permission.CHANNEL_VIEW)
async def show(call: Call) -> web.StreamResponse:
    """All of them, newest first."""
    one = await channels.channel(call)
    if one is None:
        raise web.HTTPNotFound
    found = await versions.of(call.db, one.id)
    return call.render(
        "routing/channel_versions.html", one=one, versions=found, states=words.VERSION_STATE,
        most=versions.MOST_SHOWN, approval=await versions.approval(call.db),
    )  # fmt: skip


async def _subject(call: Call) -> Shown | None:
    one = await channels.channel(call)
    found = await versions.one(call.db, one.id, int(call.request.match_info["number"])) if one else None
    if one is None or found is None:
        return None
    return Shown(one, found, await versions.active(call.db, one.id))


@route("GET", THIS, Permission.CHANNEL_VIEW)
async def show_one(call: Call) -> web.StreamResponse:
    """What it has changed, and what it would change now."""
    subject = await _subject(call)
    if subject is None:
        raise web.HTTPNotFound
    version = subject.version
    base = await versions.one(call.db, version.channel_id, version.base)
    active = await versions.one(call.db, version.channel_id, subject.active)
    return call.render(
        "routing/channel_version.html", one=subject.channel, version=version, states=words.VERSION_STATE,
        changes=_lines(call, versions.difference(base, version)),
        would=_lines(call, versions.difference(active, version)) if version.state is not State.ACTIVE else None,
        own=version.made_by == call.actor.label,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """A difference, as people read it."""

    field: str
    before: Any
    after: Any
    secret: bool


def _lines(call: Call, found: list[Difference]) -> list[Line]:
    return [Line(_named(call, one), one.before, one.after, one.secret) for one in found]


def _named(call: Call, one: Difference) -> str:
    if one.field == versions.PASSWORD:
        return call.gettext(words.PASSWORD_FIELD)
    key = "node_number" if one.field == "node" else one.field
    return call.gettext(TERMS[key]) if key in TERMS else one.field


# --- decisions -------------------------------------------------------------------------------------------------------

_REASON = Input("reason", most=200, help=words.REASON_HELP)
_ANSWER = Form((Inputs((_REASON,)),))
_SEEN = Input("seen", InputKind.HIDDEN)
"""The version in force that the effect was compared with."""
_BACK = Form((Inputs((_REASON, _SEEN)),))


async def _effect(call: Call, subject: Shown, _: Mapping[str, Any]) -> Effect:
    active = await versions.one(call.db, subject.channel.id, subject.active)
    found = versions.difference(active, subject.version)
    said: dict[str, Any] = {"n": len(found), "fields": call.listed(_named(call, one) for one in found[:8])}
    if not found:
        return Effect(words.NO_EFFECT, {})
    if subject.channel.desired == "stopped" or not versions.reconnects(found):
        return Effect(words.HOT_EFFECT, said)
    return Effect(words.RECONNECT_EFFECT, said | await channels.waiting(call, subject.channel))


def _page(
    key: str, title: str, send: str, save: Callable[[Call, Shown, Mapping[str, Any]], Awaitable[str]],
    states: frozenset[State], *, danger: bool, shows_effect: bool, form: Form = _ANSWER,
) -> FormPage:  # fmt: skip
    async def subject(call: Call) -> Shown | None:
        found = await _subject(call)
        return found if found is not None and found.version.state in states else None

    async def done(call: Call, one: Shown, values: Mapping[str, Any]) -> web.StreamResponse:
        call.toast(await save(call, one, values))
        return call.redirect(f"{PATH}/{one.channel.id}/versions")

    return FormPage(
        f"{THIS}/{key}", Permission.CHANNEL_EDIT, title, send, form, done, lambda one: one.path, subject,
        made_of=lambda one: {"seen": one.active},
        effect=_effect if shows_effect else None, lead=lambda one: one.channel.name, danger=danger,
    )  # fmt: skip


async def _approve(call: Call, one: Shown, values: Mapping[str, Any]) -> str:
    await versions.approve(call.change(), one.channel.id, one.version.number, values["reason"])
    return call.filled(words.APPROVED, {"n": one.version.number})


async def _reject(call: Call, one: Shown, values: Mapping[str, Any]) -> str:
    await versions.reject(call.change(), one.channel.id, one.version.number, values["reason"])
    own = one.version.made_by == call.actor.label
    return call.filled(words.WITHDRAWN if own else words.REJECTED, {"n": one.version.number})


async def _roll_back(call: Call, one: Shown, values: Mapping[str, Any]) -> str:
    made = await service.roll_back(
        call.change(), one.channel.id, one.version.number, reason=values["reason"], seen=read_id(values["seen"]) or 0
    )
    said = {"old": one.version.number, "n": made.number}
    return call.filled(words.ROLL_BACK_WAITS if made.waiting else words.ROLLED_BACK, said)


_OPEN, _PAST = frozenset({State.WAITING}), frozenset({State.REPLACED})
APPROVE = _page("approve", words.APPROVE_TITLE, words.APPROVE, _approve, _OPEN, danger=False, shows_effect=True)
REJECT = _page("reject", words.REJECT_TITLE, words.REJECT, _reject, _OPEN, danger=True, shows_effect=False)
ROLL_BACK = _page(
    "rollback", words.ROLL_BACK_TITLE, words.ROLL_BACK, _roll_back, _PAST, danger=True, shows_effect=True, form=_BACK
)

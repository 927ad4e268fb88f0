"""What the steps of the first run have in common, and the list of them on the workbench."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.rights import Proof, route
from smsgw.admin.words import setup as words
from smsgw.core.permissions import Permission
from smsgw.platform.first_run import queries
from smsgw.platform.preferences import queries as preferences, service as preferring

CHANNEL, SIGN, TEST = "/setup/channel", "/setup/sign", "/setup/test"
_PLACES = (
    # key of progress, address, who may open it
    ("brand", "/platform", Permission.SETTING_VIEW),
    ("channel", CHANNEL, Permission.CHANNEL_EDIT),
    ("sign", SIGN, Permission.ACCOUNT_EDIT),
    ("tested", TEST, Permission.MESSAGE_SEND),
)
_PREFERENCE = "first_run"
guarded = partial(route, step_up=Proof.PASSWORD, in_service=Proof.FACTOR)
"""Of what is dangerous here: who sets the platform up need not have an app yet, whoever comes later does."""


@dataclass(frozen=True, slots=True)
class Todo:
    """A line of the list."""

    label: str
    about: str
    path: str
    done: bool


async def page(call: Call, template: str, step: int, *, status: int = 200, **values: Any) -> web.Response:
    """A page of the wizard; ``step`` from 1."""
    progress = await queries.progress(call.db)
    done = {1, 3} | {n for n, is_done in ((2, progress.brand), (4, progress.channel), (5, progress.sign),
                                          (6, progress.tested)) if is_done}  # fmt: skip
    links = {n: path for n, (_, path, may) in zip((2, 4, 5, 6), _PLACES, strict=True) if call.may(may)}
    return call.render(
        template, status=status, steps=words.STEPS, step=step, done=done, links=links, progress=progress, **values
    )


async def todo(call: Call) -> list[Todo]:
    """What whoever sets the platform up has still to do, with what is done already; empty: nothing, or it is not shown
    any more."""
    if call.portal.set_up or not call.may(Permission.SETTING_EDIT):
        return []
    progress = await queries.progress(call.db)
    if progress.whole:
        call.portal.set_up = True
        return []
    if (await preferences.value(call.db, call.actor, _PREFERENCE)).get("hidden"):
        return []
    found = [Todo(*words.LISTED[key], path, getattr(progress, key)) for key, path, may in _PLACES if call.may(may)]
    return found if any(not one.done for one in found) else []


@route("POST", "/setup/hide", Permission.SETTING_EDIT)
async def hide(call: Call) -> web.StreamResponse:
    """Show the list no more, to this person."""
    await preferring.set_value(call.change(), _PREFERENCE, {"hidden": True})
    call.toast(call.gettext(words.HIDDEN))
    return call.redirect("/")

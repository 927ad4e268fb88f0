"""Favourites: pages of the menu that a person has starred, on top of it."""

from __future__ import annotations

from aiohttp import web

from smsgw.admin.call import Call, local_path
from smsgw.admin.kit.toasts import ToastKind
from smsgw.admin.rights import route
from smsgw.admin.words import palette as words
from smsgw.core.permissions import Permission
from smsgw.platform.preferences import service

NAME = "favourites"
MOST = 12


@route("POST", "/favourites", Permission.SELF_EDIT)
async def star(call: Call) -> web.StreamResponse:
    """Star a page, or take its star away, and go back to it."""
    form = await call.request.post()
    key, back = str(form.get("key", "")), call.redirect(local_path(str(form.get("next", ""))))
    starred = [entry.key for entry in call.menu.favourites if entry.key != key]
    if form.get("on"):
        if not any(entry.key == key for group in call.menu.groups for entry in group.entries):
            raise web.HTTPNotFound
        if len(starred) >= MOST:
            call.toast(call.filled(words.TOO_MANY, {"n": MOST}), ToastKind.BAD)
            return back
        starred.append(key)
    await service.set_value(call.change(), NAME, {"keys": starred})
    return back

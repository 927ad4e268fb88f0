"""The counts in the menu: how much waits behind an entry, asked for by the page itself."""

from __future__ import annotations

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.rights import SELF, route


@route("GET", "/menu/badges", SELF, passive=True)
async def counts(call: Call) -> web.StreamResponse:
    """Key of an entry -> how many wait there; of the entries in the person's menu."""
    found = {}
    for group in call.menu.groups:
        for entry in group.entries:
            if entry.badge is not None:
                found[entry.key] = await entry.badge(call)
    return call.unless_known(web.json_response(found))

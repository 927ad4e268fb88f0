"""The switch of colours: as the system's, light, dark."""

from __future__ import annotations

from aiohttp import web

from smsgw.admin.call import THEME_COOKIE, THEMES, Call, local_path
from smsgw.admin.rights import PUBLIC, route

_YEAR = 365 * 86400


@route("POST", "/theme", PUBLIC)
async def switch(call: Call) -> web.StreamResponse:
    """Remember the colours and go back to the page."""
    form = await call.request.post()
    response = call.redirect(local_path(str(form.get("next", ""))))
    wanted = str(form.get("theme", ""))
    if wanted in THEMES:
        call.set_cookie(response, THEME_COOKIE, wanted, max_age=_YEAR)
    return response

"""The language switch."""

from __future__ import annotations

from aiohttp import web

from smsgw.admin.call import LANGUAGE_COOKIE, Call, local_path
from smsgw.admin.rights import PUBLIC, route
from smsgw.admin.words.languages import LANGUAGES

_YEAR = 365 * 86400


@route("POST", "/language", PUBLIC)
async def switch(call: Call) -> web.StreamResponse:
    """Remember the language and go back to the page."""
    form = await call.request.post()
    response = call.redirect(local_path(str(form.get("next", ""))))
    wanted = str(form.get("language", ""))
    if wanted in LANGUAGES:
        call.set_cookie(response, LANGUAGE_COOKIE, wanted, max_age=_YEAR)
    return response

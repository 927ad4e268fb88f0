"""Pages for what goes wrong: what happened, what to do, and the number to quote."""

from __future__ import annotations

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.words.errors import BY_STATUS, REQUEST_ID, STALE, STORAGE, STORAGE_CHANGE
from smsgw.core.errors import SmsgwError, message_of
from smsgw.core.words import spoken


class Stale(web.HTTPForbidden):
    """A change without a valid token: an old page, or somebody else's."""


async def not_found(call: Call) -> web.StreamResponse:
    """No such page."""
    raise web.HTTPNotFound


def page(call: Call, status: int, error: SmsgwError | None = None, *, stale: bool = False) -> web.Response:
    """The error page; for a page's script one plain line instead."""
    storage = error is not None and error.code == "STORAGE_UNAVAILABLE"
    if storage:
        words = STORAGE if call.request.method in ("GET", "HEAD") else STORAGE_CHANGE
    else:
        words = STALE if stale else BY_STATUS.get(status, BY_STATUS[500 if status >= 500 else 400])
    detail = ""
    if error is not None:
        english = call.language != DEFAULT
        detail = message_of(error.code, error.detail, english=english)
        if storage:  # its message speaks of a message not accepted; here the reason is enough
            detail = str(spoken(error.detail.get("reason", ""), english))
    headers = {"Retry-After": str(round(error.retry_after))} if error and error.retry_after else {}
    if call.is_htmx:
        number = call.gettext(REQUEST_ID)
        text = f"{call.gettext(words.title)}: {detail or call.gettext(words.advice)} ({number} {call.request_id})"
        return web.Response(text=text, status=status, headers=headers)
    response = call.render(
        "errors/error.html",
        status=status,
        http=status,
        title=words.title,
        advice=words.advice,
        detail=detail,
        retry=storage,
    )
    response.headers.update(headers)
    return response

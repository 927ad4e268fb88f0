"""Pages for what goes wrong: what happened, what to do, and the number to quote."""

from __future__ import annotations

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.words.errors import (
    ADDRESS,
    BY_STATUS,
    REFUSED,
    REQUEST_ID,
    SCOPE,
    STALE,
    STORAGE,
    STORAGE_CHANGE,
    ErrorWords,
)
from smsgw.core.errors import SmsgwError, message_of
from smsgw.core.words import spoken


class Forbidden(web.HTTPForbidden):
    """Refused for another reason than the role."""

    words: ErrorWords


class Stale(Forbidden):
    """A change without a valid token: an old page, or somebody else's."""

    words = STALE


class OutOfScope(Forbidden):
    """A change of what belongs to all accounts, by who sees some of them."""

    words = SCOPE


async def not_found(call: Call) -> web.StreamResponse:
    """No such page."""
    raise web.HTTPNotFound


def page(call: Call, status: int, error: SmsgwError | None = None, words: ErrorWords | None = None) -> web.Response:
    """The error page; for a page's script one plain line instead."""
    storage = error is not None and error.code == "STORAGE_UNAVAILABLE"
    if storage:
        words = STORAGE if call.request.method in ("GET", "HEAD") else STORAGE_CHANGE
    elif status == 403 and error is not None and error.code != "PERMISSION_DENIED":
        words = ADDRESS if error.code == "AUTH_IP_DENIED" else REFUSED
    elif words is None:
        words = BY_STATUS.get(status, BY_STATUS[500 if status >= 500 else 400])
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

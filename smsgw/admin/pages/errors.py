"""Pages for what goes wrong: what happened, what to do, and the number to quote."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from smsgw.admin import words_pages
from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.core.errors import SmsgwError, message_of
from smsgw.core.words import spoken


class Stale(web.HTTPForbidden):
    """A change without a valid token: an old page, or somebody else's."""


@dataclass(frozen=True, slots=True)
class _Words:
    title: str
    advice: str


_WORDS = {status: _Words(*said) for status, said in words_pages.ERRORS.items()}
_STORAGE = _Words(*words_pages.STORAGE)


async def not_found(call: Call) -> web.StreamResponse:
    """No such page."""
    raise web.HTTPNotFound


def page(call: Call, status: int, error: SmsgwError | None = None) -> web.Response:
    """The error page; for a page's script one plain line instead."""
    storage = error is not None and error.code == "STORAGE_UNAVAILABLE"
    words = _STORAGE if storage else _WORDS.get(status, _WORDS[500 if status >= 500 else 400])
    detail = ""
    if error is not None:
        detail = message_of(error.code, error.detail, english=call.language != DEFAULT)
        if storage:  # its message speaks of a message not accepted; here the reason is enough
            detail = str(spoken(error.detail.get("reason", ""), call.language != DEFAULT))
    headers = {"Retry-After": str(round(error.retry_after))} if error and error.retry_after else {}
    if call.is_htmx:
        number = call.gettext(words_pages.REQUEST_NUMBER)
        text = f"{call.gettext(words.title)}: {detail or call.gettext(words.advice)} ({number} {call.request_id})"
        return web.Response(text=text, status=status, headers=headers)
    response = call.render(
        "pages/error.html",
        status=status,
        http=status,
        title=words.title,
        advice=words.advice,
        detail=detail,
        retry=storage,
    )
    response.headers.update(headers)
    return response

"""What most changes of a page come to: done, said and back to the page; or the page again with what was refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.lists import refusal
from smsgw.core.errors import SmsgwError

Again = Callable[[Call, str, int], Awaitable[web.StreamResponse]]
"""Shows the page with what was refused, in the reader's language, and a status."""


async def attempt(
    call: Call, doing: Awaitable[object], said: str, back: str, again: Again, *, status: int = 422
) -> web.StreamResponse:
    """Do it, and say so (a sentence of ``words``) at the address to go back to. ``status``: when it is refused; 429 if
    it can be tried again later."""
    try:
        await doing
    except SmsgwError as exc:
        return await again(call, refusal(call, exc), 429 if exc.retry_after else status)
    call.toast(call.gettext(said))
    return call.redirect(back)

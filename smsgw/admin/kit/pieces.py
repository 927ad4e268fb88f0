"""Answers to a dialog: the piece of a page instead of the page, and where to go on to instead of a redirect.

A dialog says ``X-Dialog``. It cannot follow a redirect, which would use up the next page's messages: it is told the
place in ``X-Go``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.forms import ONE_FIELD, Filled

ASKS, GO = "X-Dialog", "X-Go"


def in_dialog(call: Call) -> bool:
    """Whether a dialog asks, so that a piece is enough."""
    return call.request.headers.get(ASKS) == "1"


def go(call: Call, path: str, **query: str) -> web.Response:
    """On to another page, whoever asks."""
    if not in_dialog(call):
        return call.redirect(path, **query)
    place = path + ("?" + urlencode(query) if query else "")
    return web.Response(status=204, headers={GO: place})


def field_alone(call: Call, filled: Filled, data: Mapping[str, Any]) -> web.Response | None:
    """The answer when one field of a form was left and is to be checked alone, 422 while it is wrong; None: the form
    was sent."""
    one = next((one for one in filled.form.fields if one.key == data.get(ONE_FIELD)), None)
    if one is None:
        return None
    status = 422 if one.key in filled.errors else 200
    return call.render("ui/field_alone.html", status=status, filled=filled, one=one)

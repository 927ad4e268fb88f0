"""Somebody else's export waits for a decision (P8.11): it may begin. Refusing it is an action of the list of jobs."""

from __future__ import annotations

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.filters import read_id
from smsgw.admin.rights import route
from smsgw.admin.words import lists as words
from smsgw.core.permissions import Permission
from smsgw.platform.exports import service as exports


@route("POST", "/jobs/{id:[0-9]{1,19}}/approve", Permission.JOB_EDIT)
async def approve(call: Call) -> web.StreamResponse:
    """Let an export begin that somebody else wants."""
    job = await exports.decide(call.change(), read_id(call.request.match_info["id"]) or 0, passes=True)
    call.portal.context.jobs.set()
    call.toast(call.gettext(words.EXPORT_APPROVED))
    return call.redirect(f"/jobs/{job.id}")

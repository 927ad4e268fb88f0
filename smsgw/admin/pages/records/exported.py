"""The way to the file of an export: a link that opens it once, in the session that asked for it."""

from __future__ import annotations

from urllib.parse import quote

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.filters import read_id
from smsgw.admin.rights import Proof, route
from smsgw.core.permissions import Permission
from smsgw.platform.exports import service


@route("POST", "/jobs/{id:[0-9]{1,19}}/link", Permission.SELF_EDIT, step_up=Proof.FACTOR, kept=False)
async def link(call: Call) -> web.StreamResponse:
    """Make the link and follow it."""
    job_id = read_id(call.request.match_info["id"]) or 0
    token = await service.link(call.change(), job_id, call.token or "")
    return call.redirect(f"/exported/{token}")


@route("GET", "/exported/{id:[A-Za-z0-9_-]{1,64}}", Permission.SELF_EDIT, step_up=Proof.FACTOR, kept=False)
async def fetch(call: Call) -> web.StreamResponse:
    """The file; the link is used up, though not by who only looks what there is, or looks ahead."""
    if call.request.method != "GET" or "prefetch" in call.request.headers.get("Sec-Purpose", ""):
        raise web.HTTPBadRequest
    store = call.portal.context.files
    file = await service.fetch(call.change(), store, call.request.match_info["id"], call.token or "")
    path = await store.path(file.id)
    if path is None:
        raise web.HTTPNotFound
    return web.FileResponse(
        path,
        headers={
            "Content-Type": file.media_type,
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name)}",
            "Cache-Control": "no-store",
        },
    )

"""Stored files as answers."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

from aiohttp import web

from smsgw.api.context import Call
from smsgw.core.errors import Refused
from smsgw.platform.files.model import StoredFile


async def stored_file(call: Call, file: StoredFile, action: str, object: str) -> web.StreamResponse:
    """The file, to be taken away, with the entry of its reading. ``NOT_FOUND``, ``STORAGE_UNAVAILABLE``."""
    path = await call.ctx.tasks.files.store.path(file.id)
    if path is None or not await asyncio.to_thread(path.exists):
        raise Refused("NOT_FOUND")
    await call.ctx.readings.note(call.ctx.db, call.actor, action, object, {"file": file.name})
    return web.FileResponse(path, headers={
        **call.headers, "Content-Type": file.media_type, "Cache-Control": "no-store",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name)}",
    })  # fmt: skip

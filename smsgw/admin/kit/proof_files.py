"""Files that prove something, in forms and shown again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar
from urllib.parse import quote

from aiohttp import BodyPartReader, web

from smsgw.admin.call import Call
from smsgw.admin.kit.imports import short_text, write_down
from smsgw.platform.files import proofs
from smsgw.platform.files.model import FileKind, Incoming, StoredFile

T = TypeVar("T")
ACCEPTED = ".png,.jpg,.jpeg,.webp,.pdf"
MEGABYTES = proofs.MOST // 1024**2
MOST_FIELDS, LONGEST_FIELD = 5, 200


async def received(
    call: Call, kind: FileKind, account_id: int | None, keep: Callable[[Incoming, Mapping[str, str]], Awaitable[T]], *,
    longest: int = LONGEST_FIELD,
) -> T | None:  # fmt: skip
    """What ``keep`` makes of the file of a form, and of the fields that stand before it; None: no file has come.
    ``account_id`` None: it is the person's own; ``longest``: octets of a field."""
    typed: dict[str, str] = {}
    while True:
        part = await call.parts.next() if call.parts is not None else None
        if not isinstance(part, BodyPartReader) or len(typed) > MOST_FIELDS:
            return None
        if part.filename:
            break
        typed[part.name or ""] = await short_text(part, longest)
    store = call.portal.context.files
    person = call.actor.label if account_id is None else None
    incoming = await store.receive(kind, account_id, 0, part.filename, person=person)
    try:
        await write_down(part, store, incoming, kind.most)
        return await keep(incoming, typed)
    finally:
        store.drop(incoming)


async def shown(call: Call, file: StoredFile, action: str, object: str) -> web.StreamResponse:
    """The file, with the entry of its reading: pictures are shown, documents are taken away. Nothing in it is run."""
    path = await call.portal.context.files.path(file.id)
    if path is None:
        raise web.HTTPNotFound
    await call.reads(action, object, file=file.name)
    way = "inline" if file.media_type in proofs.PICTURES else "attachment"
    return web.FileResponse(path, headers={
        "Content-Type": file.media_type, "Cache-Control": "no-store",
        "Content-Disposition": f"{way}; filename*=UTF-8''{quote(file.name)}",
    })  # fmt: skip

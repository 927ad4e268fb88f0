"""Changes of the library: brought, described, decided by somebody else, taken away, removed."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.change import Change, Unit
from smsgw.platform.files import proofs, queries as files
from smsgw.platform.files.model import FileKind, Incoming, StoredFile
from smsgw.platform.files.service import FileStore
from smsgw.platform.materials import media, queries
from smsgw.platform.materials.model import (
    MOST,
    MOST_OCTETS,
    MOST_TAG,
    MOST_TAGS,
    MOST_TITLE,
    Draft,
    Made,
    Material,
    State,
)
from smsgw.store.engine.database import Database

LARGEST = max(media.MOST.values())
_WORKERS = ThreadPoolExecutor(2, "materials")
"""Files are made anew by so many at a time: each takes memory and a processor."""

_HELD = "SELECT DISTINCT file_id AS id FROM material WHERE file_id = ANY($1::bigint[])"
_LOCK = "SELECT FROM account WHERE id = $1 FOR UPDATE"
_ROOM = "SELECT count(*) AS n, COALESCE(sum(size), 0)::bigint AS octets FROM material WHERE account_id = $1"
_ADD = """
INSERT INTO material (account_id, kind, title, tags, file_id, sha256, media_type, size, width, height, millis,
                      thumbnail, added_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (account_id, sha256) DO NOTHING RETURNING id
"""


def kind(database: Database) -> FileKind:
    """The sort of these files: kept while the library has them."""
    held = proofs.kind(database, "material", _HELD)
    return FileKind(held.name, LARGEST, held.kept, held.held)


async def keep(change: Change, store: FileStore, account_id: int, draft: Draft, incoming: Incoming) -> int:
    """The file has come: it is made safe and enters the library; its id. ``FILE_INVALID``, ``FILE_TOO_LARGE``; as
    ``add``."""
    checked(draft)  # before the work
    change.actor.require(Permission.TEMPLATE_EDIT, account_id)
    try:
        store.check(incoming)
        made = await asyncio.get_running_loop().run_in_executor(_WORKERS, _made, incoming)
        file = await store.keep(incoming, made.media_type, change.actor.label)
    finally:
        store.drop(incoming)
    return await add(change, account_id, draft, made, file)


def _made(incoming: Incoming) -> Made:
    made = media.made(incoming.path.read_bytes())
    incoming.path.write_bytes(made.octets)
    return made


def checked(draft: Draft) -> Draft:
    """As it is kept. ``PARAM_INVALID``."""
    title = " ".join(draft.title.split())
    tags = tuple(dict.fromkeys(tag for one in draft.tags if (tag := " ".join(one.split()))))
    if not 1 <= len(title) <= MOST_TITLE or not title.isprintable():
        raise Invalid("PARAM_INVALID", field="title", reason=phrase("text.length", most=MOST_TITLE))
    if len(tags) > MOST_TAGS or not all(len(tag) <= MOST_TAG and tag.isprintable() for tag in tags):
        raise Invalid("PARAM_INVALID", field="tags", reason=phrase("contact.tags", most=MOST_TAGS, longest=MOST_TAG))
    return Draft(title, tags)


async def add(change: Change, account_id: int, draft: Draft, made: Made, file: StoredFile) -> int:
    """Enter a stored file into the library of an account; it waits for somebody's word. ``PARAM_INVALID``;
    ``NOT_FOUND`` for an account that is not the actor's; ``STATE_CONFLICT``: it is there, or there is no room."""
    draft = checked(draft)
    async with change.unit(Permission.TEMPLATE_EDIT, account_id) as unit:
        await unit.connection.execute(_LOCK, account_id)
        room = await unit.connection.fetchrow(_ROOM, account_id)
        if room is not None and (room["n"] >= MOST or room["octets"] + file.size > MOST_OCTETS):
            megabytes = MOST_OCTETS // 1024**2
            raise Refused("STATE_CONFLICT", reason=phrase("material.full", most=MOST, megabytes=megabytes))
        id_: int | None = await unit.connection.fetchval(
            _ADD, account_id, made.kind.value, draft.title, list(draft.tags), file.id, file.sha256, file.media_type,
            file.size, made.width, made.height, made.millis, made.thumbnail, unit.actor.label,
        )  # fmt: skip
        if id_ is None:
            raise Refused("STATE_CONFLICT", reason=phrase("material.there"))
        after = {"account": account_id, "title": draft.title, "tags": list(draft.tags), "kind": made.kind.value,
                 "sha256": file.sha256.hex()}  # fmt: skip
        unit.record("material.add", f"material/{id_}", after=after)
    return id_


async def _locked(unit: Unit, id_: int, permission: Permission) -> Material:
    await unit.connection.execute("SELECT FROM material WHERE id = $1 FOR UPDATE", id_)
    found = await queries.one(unit.connection, id_, accounts=unit.actor.scope.whole)
    if found is None:
        raise Refused("NOT_FOUND")
    unit.actor.require(permission, found.account_id)
    return found


_PUT = "UPDATE material SET title = $2, tags = $3 WHERE id = $1"


async def put(change: Change, id_: int, draft: Draft) -> None:
    """Change what is said of it. ``PARAM_INVALID``, ``NOT_FOUND``."""
    draft = checked(draft)
    async with change.unit(Permission.TEMPLATE_EDIT) as unit:
        before = await _locked(unit, id_, Permission.TEMPLATE_EDIT)
        await unit.connection.execute(_PUT, id_, draft.title, list(draft.tags))
        was = {"title": before.title, "tags": list(before.tags)}
        unit.record(
            "material.set", f"material/{id_}", before=was, after={"title": draft.title, "tags": list(draft.tags)}
        )


_DECIDE = "UPDATE material SET state = $2, answer = $3, decided_by = $4, decided_at = now() WHERE id = $1"


async def decide(change: Change, id_: int, *, passes: bool, answer: str) -> None:
    """Somebody else's word on what waits, or a later one on what was approved. ``STATE_CONFLICT`` for one's own;
    ``PARAM_MISSING`` for a rejection without a reason; ``NOT_FOUND``."""
    answer = " ".join(answer.split())[:200]
    if not passes and not answer:
        raise Invalid("PARAM_MISSING", field="reason")
    async with change.unit(Permission.TEMPLATE_DECIDE) as unit:
        before = await _locked(unit, id_, Permission.TEMPLATE_DECIDE)
        if before.added_by == unit.actor.label:
            raise Refused("STATE_CONFLICT", reason=phrase("optout.own"))
        state = State.APPROVED if passes else State.REJECTED
        if before.state == state:
            raise Refused("STATE_CONFLICT", reason=phrase("review.over"))
        await unit.connection.execute(_DECIDE, id_, state.value, answer, unit.actor.label)
        unit.record("material.decide", f"material/{id_}", before={"state": before.state},
                    after={"state": state.value, "reason": answer})  # fmt: skip


_TAKE = "UPDATE material SET taken = taken + 1 WHERE id = $1"


async def take(change: Change, id_: int) -> tuple[Material, StoredFile]:
    """It is taken away to be used, which is counted. ``STATE_CONFLICT``: nobody has approved it; ``NOT_FOUND``."""
    async with change.unit(Permission.TEMPLATE_VIEW) as unit:
        found = await _locked(unit, id_, Permission.TEMPLATE_VIEW)
        if found.state != State.APPROVED:
            raise Refused("STATE_CONFLICT", reason=phrase("material.waits"))
        file = await files.get(unit.connection, found.file_id)
        if file is None:
            raise Refused("NOT_FOUND")
        await unit.connection.execute(_TAKE, id_)
        unit.record("material.take", f"material/{id_}", before={"taken": found.taken}, after={"taken": found.taken + 1})
    return found, file


async def remove(change: Change, id_: int) -> None:
    """Out of the library; its file goes within a day. ``NOT_FOUND``."""
    async with change.unit(Permission.TEMPLATE_EDIT) as unit:
        before = await _locked(unit, id_, Permission.TEMPLATE_EDIT)
        await unit.connection.execute("DELETE FROM material WHERE id = $1", id_)
        was = {"account": before.account_id, "title": before.title, "kind": before.kind, "state": before.state}
        unit.record("material.remove", f"material/{id_}", before=was)

"""A person's draft of the route table: begun from what is in force, changed step by step, brought together with what
others have published meanwhile, and put in force.

Nobody changes what they have not seen: a step names the revision that it was made on, and a draft is published over the
version that it was made from and no other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from smsgw.core import route_edit, routes as core
from smsgw.core.errors import Invalid, Refused
from smsgw.core.kinds import Kinds
from smsgw.core.permissions import Permission
from smsgw.core.route_edit import Merged
from smsgw.core.routes import InvalidRoutes, RouteTable, parse
from smsgw.core.words import phrase
from smsgw.platform.change import EVERYBODY, Change, Unit
from smsgw.platform.drafts.queries import owner
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.jobs.model import NewJob
from smsgw.platform.routing import following, queries, service
from smsgw.platform.routing.model import EMPTY
from smsgw.platform.routing.publication import LOCK, Made
from smsgw.store.config import kinds
from smsgw.store.engine.database import Connection, Database, Row

Document = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class RouteDraft:
    """What a person is working on."""

    base: int
    """The version that it was made from; 0: the table before any."""
    document: Document
    revision: int
    changed_at: datetime

    def table(self) -> RouteTable:
        """As a table; a channel that was removed since stays named."""
        named = {member["name"] for pool in self.document["pool"] for member in pool["channels"]}
        return parse(self.document, version=0, channels=named, kinds=None)


_ONE = "SELECT * FROM route_draft WHERE owner_id = $1"
_LOCKED = f"{_ONE} FOR UPDATE"
_BEGIN = """
INSERT INTO route_draft (owner_id, base, document) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING revision
"""
_PUT = """
UPDATE route_draft SET base = $2, document = $3, revision = revision + 1, changed_at = now() WHERE owner_id = $1
"""
_REMOVE = "DELETE FROM route_draft WHERE owner_id = $1"
_OTHERS = """
SELECT COALESCE(NULLIF(s.name, ''), s.login) AS name, d.base, d.changed_at
FROM route_draft d JOIN staff s ON s.id = d.owner_id WHERE d.owner_id <> $1 ORDER BY d.changed_at DESC LIMIT 20
"""


def _draft(row: Row) -> RouteDraft:
    return RouteDraft(row["base"], route_edit.tidy(json.loads(row["document"])), row["revision"], row["changed_at"])


async def mine(source: Database | Connection, owner_id: int) -> RouteDraft | None:
    """A person's draft."""
    row = await source.fetchrow(_ONE, owner_id)
    return None if row is None else _draft(row)


async def others(database: Database, owner_id: int) -> list[Row]:
    """Who else works on one (name, base, changed_at), the latest first."""
    return await database.fetch(_OTHERS, owner_id)


async def _in_force(connection: Connection) -> tuple[int, Mapping[str, Any]]:
    newest = await queries.newest(connection)
    return (newest.version, newest.document) if newest is not None else (0, EMPTY)


async def document_of(source: Connection | Database, version: int) -> Mapping[str, Any]:
    """The document of a version; 0: that before any. ``NOT_FOUND``."""
    return (await queries.version(source, version)).document if version else EMPTY


async def begin(change: Change) -> None:
    """Make a draft of the table in force; one that is there stays. ``PERMISSION_DENIED`` for who is no person."""
    async with change.unit(Permission.ROUTE_EDIT, EVERYBODY) as unit:
        me = _me(unit)
        version, document = await _in_force(unit.connection)
        if await unit.connection.fetchrow(_BEGIN, me, version, _text(route_edit.tidy(document))) is None:
            unit.unchanged()
        else:
            unit.record("route.draft_begin", "route/draft", after={"base": version})


def _me(unit: Unit) -> int:
    me = owner(unit.actor)
    if not me:
        raise Refused("PERMISSION_DENIED", permission=Permission.ROUTE_EDIT.value)
    return me


def _text(document: Document) -> str:
    return json.dumps(document, ensure_ascii=False)


async def edit(change: Change, revision: int, step: Callable[[Document], Document]) -> None:
    """Change the draft by a step, which gets the document and gives another one.

    ``STATE_CONFLICT``: it has been changed since that revision, or there is none; ``PARAM_INVALID`` names everything
    that is wrong with what it would be. Nothing of the draft is lost then.
    """
    async with change.unit(Permission.ROUTE_EDIT, EVERYBODY) as unit:
        before = await _locked(unit, revision)
        document = route_edit.tidy(step(before.document))
        _keep_moves(before.document, document)
        _check(document, await queries.channel_names(unit.connection), await kinds.load(unit.connection))
        await _put(unit, before, before.base, document)


def _keep_moves(before: Document, after: Document) -> None:
    """What gives accounts and signatures to channels is known by its names: they are no others', and what they stand
    for is changed where accounts are given to channels. It may be moved, and taken away."""
    for kind, reserved in (("rule", core.MOVE), ("pool", core.ONLY)):
        was = {one["name"]: one for one in before[kind]}
        for one in after[kind]:
            if one["name"].startswith(reserved) and was.get(one["name"]) != one:
                raise Invalid("PARAM_INVALID", field="name", reason=phrase("route.reserved", prefix=reserved.strip()))


async def _locked(unit: Unit, revision: int) -> RouteDraft:
    row = await unit.connection.fetchrow(_LOCKED, _me(unit))
    if row is None:
        raise Refused("STATE_CONFLICT", reason=phrase("route.no_draft"))
    if row["revision"] != revision:
        raise Refused("STATE_CONFLICT", reason=phrase("route.draft_changed"))
    return _draft(row)


def _check(document: Document, channels: list[str], known: Kinds) -> None:
    try:
        parse(document, version=0, channels=channels, kinds=known)
    except InvalidRoutes as exc:
        raise Invalid("PARAM_INVALID", field="routes", reason="; ".join(exc.problems)) from exc


async def _put(unit: Unit, before: RouteDraft, base: int, document: Document) -> None:
    changes = route_edit.differences(before.document, document)
    if not changes and base == before.base:
        unit.unchanged()
        return
    await unit.connection.execute(_PUT, owner(unit.actor), base, _text(document))
    unit.record(
        "route.draft",
        "route/draft",
        before={f"{c.kind} {c.name}": c.before for c in changes if c.before and c.what != "moved"},
        after={f"{c.kind} {c.name}": c.after if c.what != "moved" else "moved" for c in changes if c.after},
    )


async def catch_up(change: Change, revision: int, *, keep: bool) -> Merged | None:
    """Bring the draft together with the version in force, or (``keep``) leave it as it is and make it one of that
    version, whose changes it then takes back. What was brought together; None: there was nothing newer, or it was kept.
    ``STATE_CONFLICT`` as ``edit``."""
    async with change.unit(Permission.ROUTE_EDIT, EVERYBODY) as unit:
        before = await _locked(unit, revision)
        version, newest = await _in_force(unit.connection)
        if version == before.base:
            unit.unchanged()
            return None
        if keep:
            await _put(unit, before, version, before.document)
            return None
        base = await document_of(unit.connection, before.base)
        merged = route_edit.merge(base, before.document, newest)
        await _put(unit, before, version, merged.document)
        return merged


async def discard(change: Change) -> None:
    """Forget the draft."""
    async with change.unit(Permission.ROUTE_EDIT, EVERYBODY) as unit:
        row = await unit.connection.fetchrow(_LOCKED, _me(unit))
        if row is None:
            unit.unchanged()
            return
        await unit.connection.execute(_REMOVE, owner(unit.actor))
        unit.record("route.draft_discard", "route/draft", before={"base": row["base"]})


async def publish(change: Change, revision: int, note: str) -> Made:
    """Put the draft in force and forget it, with the job by which what waits follows; or submit it, and keep it for
    what the second person has to say.

    ``STATE_CONFLICT``: another version is in force than it was made from, it has been changed since that revision, or
    it changes nothing; the draft stays.
    """
    async with change.unit(Permission.ROUTE_EDIT, EVERYBODY) as unit:
        await unit.connection.execute(LOCK)
        draft = await _locked(unit, revision)
        version, newest = await _in_force(unit.connection)
        if version != draft.base:
            raise Refused("STATE_CONFLICT", reason=phrase("route.newer", version=version))
        if not route_edit.differences(newest, draft.document):
            raise Refused("STATE_CONFLICT", reason=phrase("route.same"))
        made = await service.publish(change, draft.document, note)
        if made.version:
            await unit.connection.execute(_REMOVE, owner(unit.actor))
        unit.unchanged()
        return await _follow(unit, made)


async def roll_back(change: Change, version: int, seen: int, note: str) -> Made:
    """Put an old version in force again, 0 being that before any, with the job by which what waits follows; or submit
    it. ``NOT_FOUND``; ``STATE_CONFLICT``: it is what is in force, or another version is than was ``seen``.
    """
    async with change.unit(Permission.ROUTE_EDIT, EVERYBODY) as unit:
        await unit.connection.execute(LOCK)
        number, newest = await _in_force(unit.connection)
        if number != seen:
            raise Refused("STATE_CONFLICT", reason=phrase("route.newer_back", version=number))
        if not route_edit.differences(newest, await document_of(unit.connection, version)):
            raise Refused("STATE_CONFLICT", reason=phrase("route.same"))
        made = await service.rollback(change, version, note)
        unit.unchanged()
        return await _follow(unit, made)


async def _follow(unit: Unit, made: Made) -> Made:
    if not made.version:
        return made
    id_ = await jobs.add(unit.connection, NewJob(following.NAME, {"version": made.version}, unit.actor.label))
    assert id_ is not None  # noqa: S101 - it has no subject of which there is another
    return replace(made, job=id_)

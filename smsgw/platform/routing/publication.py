"""Putting route tables in force: at once, or once a second person has approved them (setting ``route_approval``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from smsgw.core import routes as core
from smsgw.core.errors import Invalid, Refused
from smsgw.core.routes import InvalidRoutes
from smsgw.core.words import phrase
from smsgw.platform.change import Unit
from smsgw.platform.routing import queries
from smsgw.store.config import kinds
from smsgw.store.engine.database import Connection

# Serialises publishers, so that the check against channels and the newest version hold.
LOCK = "LOCK TABLE route_version IN EXCLUSIVE MODE"
_ADD = "INSERT INTO route_version (document, note, actor) VALUES ($1, $2, $3) RETURNING version"
_POOL = "INSERT INTO pool (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING"
_APPROVAL = "SELECT value = '1'::jsonb FROM setting WHERE name = 'route_approval'"
_SUBMIT = "INSERT INTO route_submission (base, document, note, made_by) VALUES ($1, $2, $3, $4) RETURNING id"


@dataclass(frozen=True, slots=True)
class Made:
    """What became of a table."""

    version: int = 0
    """It is in force as this one; 0: it is not."""
    waits: int = 0
    """The submission by which it waits for somebody else; 0: it does not."""
    job: int = 0
    """The job by which what waits follows; 0: none was entered."""


async def approval(connection: Connection) -> bool:
    """Whether tables wait for a second person."""
    return bool(await connection.fetchval(_APPROVAL))


async def publish(unit: Unit, document: Mapping[str, Any], note: str) -> Made:
    """Put a table in force, or submit it. ``PARAM_INVALID`` names everything that is wrong with it; ``STATE_CONFLICT``
    while another one waits. The caller holds ``LOCK``."""
    if not await approval(unit.connection):
        return Made(await put_in_force(unit, document, note))
    await _pools(unit.connection, document)
    newest = await queries.newest(unit.connection)
    base, text = newest.version if newest else 0, json.dumps(document, ensure_ascii=False)
    try:
        async with unit.connection.transaction():
            id_: int = await unit.connection.fetchval(_SUBMIT, base, text, note, unit.actor.label)
    except asyncpg.UniqueViolationError as exc:
        raise Refused("STATE_CONFLICT", reason=phrase("route.waits")) from exc
    unit.record("route.submit", "route", after={"base": base, "note": note})
    return Made(waits=id_)


async def put_in_force(unit: Unit, document: Mapping[str, Any], note: str) -> int:
    """The same without asking anybody; the version."""
    await unit.connection.execute(_POOL, await _pools(unit.connection, document))
    text = json.dumps(document, ensure_ascii=False)
    version: int = await unit.connection.fetchval(_ADD, text, note, unit.actor.label)
    unit.record("route.publish", f"route/{version}", after={"note": note})
    return version


async def _pools(connection: Connection, document: Mapping[str, Any]) -> list[str]:
    """The pools of a table that can be."""
    known = await queries.channel_names(connection)
    try:
        return list(core.parse(document, version=0, channels=known, kinds=await kinds.load(connection)).pools)
    except InvalidRoutes as exc:
        raise Invalid("PARAM_INVALID", field="routes", reason="; ".join(exc.problems)) from exc

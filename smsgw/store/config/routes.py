"""Versions of the route table, and the pools that it names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smsgw.core import routes
from smsgw.core.errors import Invalid
from smsgw.core.ids import CHINA, time_of
from smsgw.core.model import MessageType
from smsgw.core.routes import InvalidRoutes, RouteTable, Subject
from smsgw.store.config.accounts import BUMP
from smsgw.store.engine.database import Connection, Database
from smsgw.store.records import audit

EMPTY: Mapping[str, Any] = {"pool": [], "rule": []}


@dataclass(frozen=True, slots=True)
class Version:
    """A published route table."""

    version: int
    document: dict[str, Any]
    note: str
    actor: str
    published_at: datetime


_NEWEST = "SELECT * FROM route_version ORDER BY version DESC LIMIT 1"
_ONE = "SELECT * FROM route_version WHERE version = $1"
_LIST = "SELECT * FROM route_version ORDER BY version DESC LIMIT $1"
_CHANNELS = "SELECT name FROM channel WHERE removed_at IS NULL AND id > 0"
_ADD = "INSERT INTO route_version (document, note, actor) VALUES ($1, $2, $3) RETURNING version"
_POOL = "INSERT INTO pool (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING"
# Serialises publishers, so that the check against channels and the newest version hold.
_LOCK = "LOCK TABLE route_version IN EXCLUSIVE MODE"


def _version(row: Any) -> Version:
    return Version(
        row["version"], json.loads(row["document"]), row["note"], row["actor"], row["published_at"]
    )


async def newest(source: Connection | Database) -> Version | None:
    """The version in force; None while nothing was published."""
    row = await source.fetchrow(_NEWEST)
    return None if row is None else _version(row)


async def get(database: Database, version: int) -> Version:
    """One version. ``NOT_FOUND``."""
    row = await database.fetchrow(_ONE, version)
    if row is None:
        raise Invalid("NOT_FOUND")
    return _version(row)


async def versions(database: Database, *, limit: int = 100) -> list[Version]:
    """Newest first."""
    return [_version(row) for row in await database.fetch(_LIST, limit)]


async def channel_names(database: Database) -> list[str]:
    """Channels that a table may name."""
    return [row["name"] for row in await database.fetch(_CHANNELS)]


async def load(source: Connection | Database) -> RouteTable:
    """The table in force. A channel that was removed since simply pulls no more."""
    version = await newest(source)
    if version is None:
        return RouteTable()
    named = {
        m["name"] if isinstance(m, dict) else m
        for p in version.document.get("pool", [])
        for m in p["channels"]
    }
    return routes.parse(version.document, version=version.version, channels=named)


async def publish(database: Database, document: Mapping[str, Any], note: str, *, actor: str) -> int:
    """Check the document against the channels that exist and put it in force; its version.

    ``PARAM_INVALID`` names everything that is wrong. Messages that are queued stay in their pools.
    """
    async with database.transaction() as connection:
        await connection.execute(_LOCK)
        return await _publish(connection, document, note, actor)


_CARRIERS = "SELECT carriers FROM channel WHERE name = $1 AND removed_at IS NULL"
_KNOWN_ACCOUNT = "SELECT EXISTS (SELECT FROM account WHERE name = $1)"


async def move(database: Database, kind: str, value: str, channel: str, note: str, *, actor: str) -> int:
    """Give an account or a signature (``kind``) to one channel, by a rule before all others; the new version.

    ``NOT_FOUND`` for a channel or an account that does not exist.
    """
    async with database.transaction() as connection:
        await connection.execute(_LOCK)
        row = await connection.fetchrow(_CARRIERS, channel)
        if row is None or (kind == "account" and not await connection.fetchval(_KNOWN_ACCOUNT, value)):
            raise Invalid("NOT_FOUND")
        newest = await connection.fetchrow(_NEWEST)
        document = _version(newest).document if newest is not None else EMPTY
        changed = routes.moved(document, kind=kind, value=value, channel=channel, carriers=row["carriers"])
        return await _publish(connection, changed, note, actor)


async def _publish(connection: Connection, document: Mapping[str, Any], note: str, actor: str) -> int:
    known = [row["name"] for row in await connection.fetch(_CHANNELS)]
    try:
        table = routes.parse(document, version=0, channels=known)
    except InvalidRoutes as exc:
        raise Invalid("PARAM_INVALID", field="routes", reason="; ".join(exc.problems)) from exc
    await connection.execute(_POOL, list(table.pools))
    version: int = await connection.fetchval(_ADD, json.dumps(document, ensure_ascii=False), note, actor)
    await audit.append(
        connection, actor=actor, action="route.publish", object=f"route/{version}", after={"note": note}
    )
    await connection.execute(BUMP)
    return version


_RECENT = """
SELECT a.name, m.type, m.number, m.carrier, m.province, m.sign, m.content, m.id
FROM message m JOIN account a ON a.id = m.account_id ORDER BY m.id DESC LIMIT $1
"""


async def recent_subjects(database: Database, limit: int) -> list[Subject]:
    """The last messages, as rules see them."""
    return [
        Subject(
            account=row["name"],
            type=MessageType(row["type"]),
            number=row["number"],
            carrier=row["carrier"],
            province=row["province"],
            sign=row["sign"],
            content=row["content"],
            at=time_of(row["id"]).astimezone(CHINA).time(),
        )
        for row in await database.fetch(_RECENT, limit, timeout=60)
    ]


async def rollback(database: Database, version: int, *, actor: str) -> int:
    """Publish an old version again, 0 being that without rules; the new version's number."""
    old = (await get(database, version)).document if version else EMPTY
    return await publish(database, old, f"rollback to version {version}", actor=actor)

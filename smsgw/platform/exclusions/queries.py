"""The statements that read the versions: they are of the platform, and anybody who sees figures may read them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date

from smsgw.platform.exclusions.model import Version
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.store.engine.database import Connection, Database, Row

_VERSIONS = """
SELECT v.*, v.version AS id,
       (SELECT min(n.from_day) - 1 FROM exclusion_version n WHERE n.version > v.version) AS until_day,
       COALESCE((SELECT json_object_agg(e.value, e.category ORDER BY e.value) FROM exclusion e
                 WHERE e.version = v.version AND e.kind = 'class'), '{}')::text AS classes,
       COALESCE((SELECT json_object_agg(e.value, e.category ORDER BY e.value) FROM exclusion e
                 WHERE e.version = v.version AND e.kind = 'code'), '{}')::text AS codes
FROM exclusion_version v
"""
_ORDERS = {"version": Order("v.version", "int")}
_SEARCH = (
    "SELECT v.*, {key} AS _key FROM (" + _VERSIONS.replace("{", "{{").replace("}", "}}") + ") v"  # noqa: S608
    " WHERE {where} ORDER BY {order}"
)
_ONE = f"{_VERSIONS} WHERE v.version = $1"
_NEWEST = f"{_VERSIONS} ORDER BY v.version DESC LIMIT 1"
_IN_FORCE = """
SELECT DISTINCT exclusions_on(d::date) AS version FROM generate_series($1::date, $2::date, interval '1 day') d
ORDER BY 1 NULLS FIRST
"""


def _version(row: Row) -> Version:
    values = {key: row[key] for key in Version.__dataclass_fields__ if key not in ("classes", "codes")}
    return Version(**values, classes=json.loads(row["classes"]), codes=json.loads(row["codes"]))


async def search(database: Database, window: Window) -> Slice[Version]:
    """All versions, a window of them."""
    return await read(database, _SEARCH, (), _ORDERS, window, _version, id_="v.version")


async def how_many(database: Database) -> int:
    """How many there are."""
    number: int = await database.fetchval("SELECT count(*) FROM exclusion_version")
    return number


async def one(database: Database | Connection, version: int) -> Version | None:
    """One of them."""
    row = await database.fetchrow(_ONE, version) if 0 < version < 2**31 else None
    return None if row is None else _version(row)


async def newest(database: Database | Connection) -> Version | None:
    """The last that was made; it may begin later."""
    row = await database.fetchrow(_NEWEST)
    return None if row is None else _version(row)


async def in_force(database: Database, first: date, last: date) -> Sequence[int]:
    """The versions that hold on some of these days, in their order; 0: on some of them there is none."""
    return [row["version"] or 0 for row in await database.fetch(_IN_FORCE, first, last)]

"""The statements that read the versions: they are of the platform, and anybody who sees figures may read them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from types import NoneType

from smsgw.core.actor import Actor
from smsgw.platform.exclusions.model import Version
from smsgw.platform.listing import Listing
from smsgw.platform.paging import Order, Window
from smsgw.store.engine.database import Connection, Database, Row

_IN_FORCE = """
SELECT DISTINCT exclusions_on(d::date) AS version FROM generate_series($1::date, $2::date, interval '1 day') d
ORDER BY 1 NULLS FIRST
"""


def _version(row: Row) -> Version:
    values = {name: row[name] for name in Version.__dataclass_fields__}
    return Version(**values | {name: json.loads(values[name]) for name in ("classes", "codes")})


EXCLUSIONS = Listing(Version, NoneType, "exclusion_version v", "true", {"version": Order("v.version", "int")}, _version)


async def newest(database: Database | Connection) -> Version | None:
    """The last that was made; it may begin later."""
    found = await EXCLUSIONS.search(database, Actor.system("exclusions"), None, Window(limit=1))
    return next(iter(found.rows), None)


async def in_force(database: Database, first: date, last: date) -> Sequence[int]:
    """The versions that hold on some of these days, in their order; 0: on some of them there is none."""
    return [row["version"] or 0 for row in await database.fetch(_IN_FORCE, first, last)]

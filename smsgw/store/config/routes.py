"""The route table in force, as the configuration in memory has it."""

from __future__ import annotations

import json

from smsgw.core import routes
from smsgw.core.routes import RouteTable
from smsgw.store.engine.database import Connection, Database

_NEWEST = "SELECT version, document FROM route_version ORDER BY version DESC LIMIT 1"


async def load(source: Connection | Database) -> RouteTable:
    """The table in force. A channel that was removed since simply pulls no more."""
    row = await source.fetchrow(_NEWEST)
    if row is None:
        return RouteTable()
    document = json.loads(row["document"])
    named = {m["name"] if isinstance(m, dict) else m for p in document.get("pool", []) for m in p["channels"]}
    return routes.parse(document, version=row["version"], channels=named, kinds=None)

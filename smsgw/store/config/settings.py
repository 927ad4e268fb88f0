"""Settings of operators, in the database; every node follows within seconds."""

from __future__ import annotations

import json

from smsgw.core import settings
from smsgw.core.settings import Settings
from smsgw.store.engine.database import Connection, Database

_LOAD = "SELECT name, value FROM setting"


async def load(source: Connection | Database) -> Settings:
    """What holds now."""
    rows = await source.fetch(_LOAD)
    return settings.with_changes({row["name"]: json.loads(row["value"]) for row in rows})

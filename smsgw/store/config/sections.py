"""Versions of the configuration's sections; triggers move them in the transaction of the change (docs/adr/038)."""

from __future__ import annotations

from smsgw.store.engine.database import Connection, Database

_VERSIONS = "SELECT section, version FROM config_section"


async def versions(source: Connection | Database) -> dict[str, int]:
    """Section -> version. Rows that are read in the same snapshot lack nothing of it."""
    return {row["section"]: row["version"] for row in await source.fetch(_VERSIONS, timeout=2)}

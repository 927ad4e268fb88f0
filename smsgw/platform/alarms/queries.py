"""The alarms that people look at."""

from __future__ import annotations

from smsgw.store.engine.database import Database
from smsgw.store.records import alarms
from smsgw.store.records.alarms import Alarm


async def page(database: Database, *, everything: bool = False, limit: int = 200) -> list[Alarm]:
    """Open alarms, the gravest first; with ``everything`` the cleared ones after them."""
    return await alarms.list_(database, everything=everything, limit=limit)

"""The settings that hold now."""

from __future__ import annotations

from smsgw.core.settings import Settings
from smsgw.store.config import settings
from smsgw.store.engine.database import Connection, Database


async def current(database: Database | Connection) -> Settings:
    """What holds now, as the database has it."""
    return await settings.load(database)

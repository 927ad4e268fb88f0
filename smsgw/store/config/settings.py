"""Settings of operators, in the database; every node follows within seconds."""

from __future__ import annotations

import json
from typing import Any

from smsgw.core import settings
from smsgw.core.errors import Invalid
from smsgw.core.settings import Settings
from smsgw.store.config.accounts import BUMP
from smsgw.store.engine.database import Connection, Database
from smsgw.store.records import audit

_LOAD = "SELECT name, value FROM setting"
_PUT = """
INSERT INTO setting (name, value) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET value = excluded.value, at = now()
"""


async def load(source: Connection | Database) -> Settings:
    """What holds now."""
    rows = await source.fetch(_LOAD)
    return settings.with_changes({row["name"]: json.loads(row["value"]) for row in rows})


async def put(database: Database, name: str, value: Any, *, actor: str) -> None:
    """Change a setting. ``PARAM_INVALID`` says what is wanted."""
    try:
        checked = settings.parse(name, value)
    except ValueError as exc:
        raise Invalid("PARAM_INVALID", field=name, reason=str(exc)) from exc
    before = await load(database)
    async with database.transaction() as connection:
        await connection.execute(_PUT, name, json.dumps(checked, ensure_ascii=False))
        await audit.append(
            connection, actor=actor, action="setting.set", object=f"setting/{name}",
            before={"value": getattr(before, name)}, after={"value": checked},
        )  # fmt: skip
        await connection.execute(BUMP)

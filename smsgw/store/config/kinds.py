"""Business kinds that the operator has made, as nodes hold them."""

from __future__ import annotations

from smsgw.core.kinds import CustomKind
from smsgw.core.model import MessageType
from smsgw.store.engine.database import Connection, Database

_ALL = "SELECT name, label, base, retired_at IS NOT NULL AS retired FROM message_kind ORDER BY name"


async def load(source: Connection | Database) -> dict[str, CustomKind]:
    """All of them by name, retired ones, too."""
    rows = await source.fetch(_ALL)
    return {r["name"]: CustomKind(r["name"], r["label"], MessageType(r["base"]), r["retired"]) for r in rows}

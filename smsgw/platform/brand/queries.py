"""The statements that read brands."""

from __future__ import annotations

import json

from smsgw.core.brand import parse_look
from smsgw.platform.brand.certificates import describe
from smsgw.platform.brand.model import BrandEntry, Picture
from smsgw.store.engine.database import Connection, Database, Row

_LIST = """
SELECT b.*, array_agg(h.host ORDER BY h.host) FILTER (WHERE h.host IS NOT NULL) AS hosts
FROM brand b LEFT JOIN brand_host h ON h.brand_id = b.id WHERE $1::bigint IS NULL OR b.id = $1
GROUP BY b.id ORDER BY b.id
"""
_PICTURE = "SELECT media_type, octets FROM brand_picture WHERE sha256 = $1"


def _entry(row: Row) -> BrandEntry:
    published = row["published"]
    return BrandEntry(
        row["id"], tuple(row["hosts"] or ()),
        None if published is None else parse_look(json.loads(published)), row["published_at"],
        parse_look(json.loads(row["draft"])), row["drafted_at"],
        describe(row["certificate"]) if row["certificate"] else None,
    )  # fmt: skip


async def brands(database: Database | Connection) -> list[BrandEntry]:
    """All of them; they belong to no account."""
    return [_entry(row) for row in await database.fetch(_LIST, None)]


async def names(database: Database | Connection) -> frozenset[str]:
    """What the platform and its purchasers are called, at any host."""
    looks = [entry.published for entry in await brands(database) if entry.published is not None]
    return frozenset(filter(None, (name for look in looks for name in (look.name, look.purchaser))))


async def brand(database: Database | Connection, brand_id: int) -> BrandEntry | None:
    """One."""
    rows = await database.fetch(_LIST, brand_id)
    return _entry(rows[0]) if rows else None


async def picture(database: Database, sha256: str) -> Picture | None:
    """A picture of a brand, published or not, by its hash."""
    row = await database.fetchrow(_PICTURE, bytes.fromhex(sha256))
    return None if row is None else Picture(row["media_type"], row["octets"])

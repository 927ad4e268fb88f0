"""When carriers have said that they are sent too fast: spells, the newest of each channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from smsgw.core.throttling import Spell
from smsgw.store.engine.database import Database

KEPT = 1_000
"""Spells of a channel."""

_KEEP = """
INSERT INTO channel_throttle AS t (channel_id, began_at, node, until, rate_limit, lowest, taken, refused, over)
SELECT c.id, d.began_at, $1, d.until, d.rate_limit, d.lowest, d.taken, d.refused, d.over
FROM unnest($2::int[], $3::timestamptz[], $4::timestamptz[], $5::int[], $6::float8[], $7::bigint[], $8::bigint[],
            $9::bool[]) AS d(id, began_at, until, rate_limit, lowest, taken, refused, over)
JOIN channel c ON c.id = d.id
ON CONFLICT (channel_id, began_at, node) DO UPDATE SET until = excluded.until, rate_limit = excluded.rate_limit,
    lowest = excluded.lowest, taken = excluded.taken, refused = excluded.refused, over = excluded.over
"""
_PRUNE = """
DELETE FROM channel_throttle t USING unnest($1::int[]) AS c(id)
WHERE t.channel_id = c.id AND t.began_at < (
    SELECT began_at FROM channel_throttle n WHERE n.channel_id = c.id ORDER BY began_at DESC OFFSET $2 LIMIT 1)
"""


async def keep(database: Database, node: int, spells: Sequence[tuple[int, Spell]]) -> None:
    """Keep (channel id, spell) of what this node owns, or what has become of one; the same again changes nothing."""
    if not spells:
        return
    of = [spell for _, spell in spells]
    await database.execute(
        _KEEP, node, [id_ for id_, _ in spells], [s.began_at for s in of], [s.until for s in of],
        [s.limit for s in of], [s.lowest for s in of], [s.taken for s in of], [s.refused for s in of],
        [s.over for s in of],
    )  # fmt: skip
    if ended := sorted({id_ for id_, spell in spells if spell.over}):
        await database.execute(_PRUNE, ended, KEPT - 1)


@dataclass(frozen=True, slots=True)
class Kept:
    """A spell, and the node that had the channel then."""

    node: int
    spell: Spell


_NEWEST = """
SELECT node, began_at, until, rate_limit, lowest, taken, refused, over FROM channel_throttle
WHERE channel_id = $1 AND ($2::timestamptz IS NULL OR until >= $2) ORDER BY began_at DESC, node LIMIT $3
"""


async def newest(database: Database, channel_id: int, since: datetime | None, limit: int) -> list[Kept]:
    """Spells of a channel, newest first, of those that were not over at ``since``."""
    return [
        Kept(row["node"], Spell(*list(row.values())[1:]))
        for row in await database.fetch(_NEWEST, channel_id, since, limit)
    ]

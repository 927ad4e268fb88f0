"""Visitors of links, counted anew a little after clicks were judged: a link at most once a minute, some at a time."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from smsgw.core.errors import SmsgwError
from smsgw.pipeline.periodic import Periodic
from smsgw.platform.links.queries import COUNTED
from smsgw.runtime.rate_limited_logger import RateLimitedLogger
from smsgw.store.engine.database import Database

sparing = RateLimitedLogger(structlog.get_logger(__name__))

EVERY = 10.0
AT_ONCE = 5
"""Links of one round."""
PATIENCE = 30.0
"""Seconds for one."""
_DUE = """
SELECT id, kind, hits, humans FROM short_link
WHERE recount AND (counted_at IS NULL OR counted_at < now() - interval '1 minute')
ORDER BY counted_at NULLS FIRST, id LIMIT $1
"""
_CODES = "SELECT count(*) FROM link_visitor WHERE link_id = $1 AND humans > 0"
_DEVICES = """
SELECT count(*) FROM (SELECT DISTINCT address, agent FROM (
    SELECT address, agent FROM link_click WHERE link_id = $1 AND verdict = 'human' ORDER BY id DESC LIMIT $2
) c) d
"""
# What was judged while it was counted is looked at again.
_SET = """
UPDATE short_link SET visitors = $2, counted_at = now(), recount = (hits, humans) <> ($3::bigint, $4::bigint)
WHERE id = $1
"""
_LATER = "UPDATE short_link SET counted_at = now() WHERE id = $1"


class VisitorCount:
    """On one node at a time. A link that cannot be counted keeps no other from it: its turn comes again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def periodics(self) -> Sequence[Periodic]:
        """Counting."""
        return (Periodic("links.count", EVERY, self.count, exclusive="links.count"),)

    async def count(self) -> bool:
        """Those that are due; whether there may be more. ``STORAGE_UNAVAILABLE``."""
        rows = await self._database.fetch(_DUE, AT_ONCE)
        for row in rows:
            statement, more = (_CODES, ()) if row["kind"] == "personal" else (_DEVICES, (COUNTED,))
            try:
                n = await self._database.fetchval(statement, row["id"], *more, timeout=PATIENCE)
            except SmsgwError as exc:
                sparing.warning("links.uncounted", row["id"], link=row["id"], error=str(exc))
                await self._database.execute(_LATER, row["id"])
            else:
                await self._database.execute(_SET, row["id"], n, row["hits"], row["humans"])
        return len(rows) == AT_ONCE

"""The statement that reads policies; ``accounts`` (None: all) is whose may be seen, besides those that hold for all."""

from __future__ import annotations

from collections.abc import Sequence

from smsgw.platform.policies.model import Deviation
from smsgw.store.engine.database import Database

_DEVIATIONS = """
SELECT p.name, a.name AS account, p.type, p.value FROM policy p LEFT JOIN account a ON a.id = p.account_id
WHERE $1::bigint[] IS NULL OR p.account_id = 0 OR p.account_id = ANY($1)
ORDER BY p.name, a.name NULLS FIRST, p.type
"""


async def deviations(database: Database, *, accounts: Sequence[int] | None) -> list[Deviation]:
    """All values that differ from the defaults."""
    rows = await database.fetch(_DEVIATIONS, None if accounts is None else list(accounts))
    return [Deviation(*row.values()) for row in rows]

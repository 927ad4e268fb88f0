"""The statements that read what is known of numbers. It is everybody's: a number has no account."""

from __future__ import annotations

from collections.abc import Sequence

from smsgw.platform.numbers.model import KnownNumber
from smsgw.store.engine.database import Connection, Database, Row

_KNOWN = """
SELECT number, state, source, code, at FROM number_status
WHERE number = ANY($1::bigint[]) AND removed_at IS NULL AND at > now() - make_interval(days => $2)
"""
_NEWEST = """
SELECT number, state, source, code, at FROM number_status
WHERE removed_at IS NULL AND at > now() - make_interval(days => $2) AND ($1 = '' OR state = $1)
ORDER BY version DESC LIMIT $3
"""
_COUNT = """
SELECT state, count(*) AS n FROM number_status
WHERE removed_at IS NULL AND at > now() - make_interval(days => $1) GROUP BY state
"""


def _known(row: Row) -> KnownNumber:
    number, *rest = row.values()
    return KnownNumber(str(number), *rest)


async def known(database: Database, numbers: Sequence[str], days: int) -> dict[str, KnownNumber]:
    """What is known of numbers (E.164 digits) and not older than so many days."""
    rows = await database.fetch(_KNOWN, [int(n) for n in numbers], days)
    return {str(row["number"]): _known(row) for row in rows}


async def newest(database: Database | Connection, days: int, *, state: str = "", limit: int = 100) -> list[KnownNumber]:
    """What was learned or imported last."""
    return [_known(row) for row in await database.fetch(_NEWEST, state, days, limit)]


async def count(database: Database, days: int) -> dict[str, int]:
    """State -> numbers."""
    return {row["state"]: row["n"] for row in await database.fetch(_COUNT, days, timeout=30)}

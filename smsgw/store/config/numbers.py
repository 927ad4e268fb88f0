"""Number overrides: ported numbers and segments that the package's data does not have."""

from __future__ import annotations

from collections.abc import Sequence

from smsgw.core.numbers import Home, Overrides
from smsgw.store.config.accounts import BUMP
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.records import audit

MAX_OVERRIDES = 2_000_000

_LOAD = "SELECT prefix, carrier, province FROM number_override LIMIT $1"


async def load_overrides(source: Connection | Database) -> Overrides:
    """All overrides."""
    rows = await source.fetch(_LOAD, MAX_OVERRIDES, timeout=30)
    return Overrides((row["prefix"], Home(row["carrier"], row["province"])) for row in rows)


_PUT = """
INSERT INTO number_override AS o (prefix, carrier, province, source, learned_code)
SELECT d.prefix, d.carrier, d.province, $4, $5
FROM unnest($1::text[], $2::text[], $3::text[]) AS d(prefix, carrier, province)
ON CONFLICT (prefix) DO UPDATE SET carrier = excluded.carrier, province = excluded.province,
    source = excluded.source, learned_code = excluded.learned_code, at = now()
"""


async def put_overrides(
    database: Database, entries: Sequence[tuple[str, str, str]], *, actor: str, source: str = "import"
) -> None:
    """Add or replace (prefix, carrier, province) entries; the last of a prefix given twice counts."""
    unique = {prefix: (carrier, province) for prefix, carrier, province in entries}
    async with database.transaction(timeout=120) as connection:
        await connection.execute(
            _PUT, list(unique), [v[0] for v in unique.values()], [v[1] for v in unique.values()], source, ""
        )
        await audit.append(
            connection,
            actor=actor,
            action="number.import",
            object="number_override",
            after={"count": len(unique)},
        )
        await connection.execute(BUMP)


async def learn(connection: Connection, number: str, carrier: str, code: str) -> None:
    """A carrier's code has said that this national number is another carrier's."""
    await connection.execute(_PUT, [number], [carrier], [""], "learned", code)
    await connection.execute(BUMP)


_FIND = "SELECT * FROM number_override WHERE prefix LIKE $1 || '%' ORDER BY prefix LIMIT $2"


async def find_overrides(database: Database, prefix: str, *, limit: int = 100) -> list[Row]:
    """Overrides that begin with these digits."""
    return await database.fetch(_FIND, prefix, limit)


async def remove_override(database: Database, prefix: str, *, actor: str) -> bool:
    """Forget one override; whether it was there."""
    async with database.transaction() as connection:
        gone = await connection.execute("DELETE FROM number_override WHERE prefix = $1", prefix) == "DELETE 1"
        await audit.append(
            connection, actor=actor, action="number.remove", object=f"number_override/{prefix}"
        )
        await connection.execute(BUMP)
    return gone

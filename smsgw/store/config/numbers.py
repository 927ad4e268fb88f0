"""Number overrides: ported numbers and segments that the package's data does not have."""

from __future__ import annotations

from smsgw.core.numbers import MAX_OVERRIDES, Home, Overrides
from smsgw.store.engine.database import Connection, Database

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


async def put(
    connection: Connection, prefixes: list[str], carriers: list[str], provinces: list[str], source: str, code: str = ""
) -> None:
    """Add or replace overrides. ``source`` says where they come from, ``code`` which code of a carrier has said so."""
    await connection.execute(_PUT, prefixes, carriers, provinces, source, code)


_TURN = "hashtextextended('smsgw.number_override', 0)"
_TAKE = f"SELECT pg_advisory_xact_lock({_TURN})"
_FREE = f"SELECT pg_try_advisory_xact_lock_shared({_TURN})"


async def take_turn(connection: Connection) -> None:
    """Whoever changes many of them does so alone until the transaction ends, and nobody learns one meanwhile."""
    await connection.execute(_TAKE)


async def learn(connection: Connection, number: str, carrier: str, code: str) -> None:
    """A carrier's code has said that this national number is another carrier's. While a file is brought in it is let
    go: reports wait for no file, and the next one says it again."""
    if await connection.fetchval(_FREE):
        await put(connection, [number], [carrier], [""], "learned", code)

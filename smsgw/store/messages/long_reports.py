"""Carriers that report a long message once: the parts that share its report."""

from __future__ import annotations

from collections.abc import Sequence

from smsgw.core.model import Report
from smsgw.store.engine.database import Connection, Row
from smsgw.store.engine.states import by_name
from smsgw.store.messages.evidence import EARLY
from smsgw.store.messages.matching import chosen, tails

# Parts that wait for their report on the same channel, and of one that this report is for.
_SIBLINGS = by_name(f"""
WITH r AS MATERIALIZED (
    SELECT *, $4::bigint AS newest
    FROM unnest($1::int[], $2::text[], $5::text[]) WITH ORDINALITY AS r(channel_id, carrier_id, tail, n)
),
hit AS MATERIALIZED ({chosen("p.id, p.part, p.state, p.total, p.channel_id", "$3")})
SELECT DISTINCT p.n, s.part, s.carrier_id
FROM hit p JOIN part s ON s.id = p.id AND s.part <> p.part AND s.id >= $3
WHERE p.state = :SENT AND p.total > 1 AND +s.state = :SENT AND s.channel_id IS NOT DISTINCT FROM p.channel_id
  AND s.carrier_id IS NOT NULL
ORDER BY p.n, s.part
""")  # noqa: S608 - constant text


async def siblings(
    connection: Connection, reports: Sequence[Report], *, oldest: int, newest: int
) -> list[tuple[int, str]]:
    """(position in ``reports``, carrier's id) of the other parts that wait for a report."""
    rows = await connection.fetch(
        _SIBLINGS, [r.channel_id for r in reports], [r.carrier_id for r in reports], oldest, newest, tails(reports)
    )
    return [(row["n"] - 1, row["carrier_id"]) for row in rows]


_TOLD = by_name(f"""
SELECT DISTINCT ON (k.n) k.n, s.state, s.code, s.class, COALESCE((
    SELECT e.pdu FROM evidence e
    WHERE e.message_id = s.id AND e.part = s.part AND e.state = s.state AND e.id >= $4 - {EARLY}
    ORDER BY e.id DESC LIMIT 1
), '') AS pdu
FROM unnest($1::bigint[], $2::smallint[], $3::int[]) WITH ORDINALITY AS k(id, part, channel_id, n)
JOIN part s ON s.id = k.id AND s.part <> k.part AND s.channel_id = k.channel_id AND s.id >= $4
WHERE s.state IN (:DELIVERED, :UNDELIVERABLE) AND s.answered_at IS NOT NULL
ORDER BY k.n, s.part
""")  # noqa: S608


async def told(connection: Connection, parts: Sequence[Row]) -> list[tuple[int, Row]]:
    """(position in ``parts``, what its message was reported as) where the report was there before the answer."""
    rows = await connection.fetch(
        _TOLD,
        [p["id"] for p in parts],
        [p["part"] for p in parts],
        [p["channel_id"] for p in parts],
        min(p["id"] for p in parts),
    )
    return [(row["n"] - 1, row) for row in rows]

"""Reports that cite an id nobody has told us: the parts that they may be about, and the ids that they bring."""

from __future__ import annotations

from collections.abc import Sequence

from smsgw.core.model import Report
from smsgw.core.references import Candidate
from smsgw.core.states import PartState
from smsgw.store.engine.database import Connection, Row
from smsgw.store.engine.states import by_name
from smsgw.store.messages.report_ids import report_of

NEWEST = 50
"""Parts to one number that are looked at."""

_CANDIDATES = by_name("""
SELECT k.n, p.id, p.part, p.state, COALESCE(p.carrier_id, '') AS carrier_id, p.claimed_at
FROM unnest($1::int[], $2::text[]) WITH ORDINALITY AS k(channel_id, number, n),
LATERAL (
    SELECT p.id, p.part, p.state, p.carrier_id, p.claimed_at
    FROM message m JOIN part p ON p.id = m.id
    WHERE m.number = k.number AND m.id >= $3 AND m.id < $5 AND p.id >= $3 AND p.id < $5
      AND p.channel_id = k.channel_id AND p.state IN (:SENDING, :SENT, :UNKNOWN, :NO_REPORT, :UNCONFIRMED)
    ORDER BY m.id DESC LIMIT $4
) p
""")


async def candidates(
    connection: Connection, reports: Sequence[Report], *, oldest: int, newest: int
) -> dict[int, list[Candidate]]:
    """Position in ``reports`` -> parts of its channel to its number that have no end, or one that may be corrected."""
    found: dict[int, list[Candidate]] = {}
    for row in await connection.fetch(
        _CANDIDATES, [r.channel_id for r in reports], [r.number for r in reports], oldest, NEWEST, newest
    ):
        one = Candidate(row["id"], row["part"], PartState(row["state"]), row["carrier_id"], row["claimed_at"])
        found.setdefault(row["n"] - 1, []).append(one)
    return found


_ADOPT = by_name("""
UPDATE part p SET carrier_id = a.carrier_id
FROM unnest($1::bigint[], $2::smallint[], $3::text[]) AS a(id, part, carrier_id)
WHERE p.id = a.id AND p.part = a.part AND p.carrier_id IS NULL
    AND p.state IN (:SENT, :UNKNOWN, :NO_REPORT, :UNCONFIRMED)
""")


async def adopt(connection: Connection, ids: Sequence[tuple[Candidate, str]]) -> None:
    """Give parts the carrier's ids that their reports have told."""
    await connection.execute(
        _ADOPT, [c.id for c, _ in ids], [c.part for c, _ in ids], [carrier_id for _, carrier_id in ids]
    )


# Asked first: nearly always there is none.
_ANY = "SELECT EXISTS (SELECT 1 FROM receipt_orphan WHERE reference IS NOT NULL OR by_number)"

_WAITING = """
DELETE FROM receipt_orphan o
USING (SELECT DISTINCT k.channel_id, m.number FROM unnest($1::bigint[], $2::int[]) AS k(id, channel_id)
       JOIN message m ON m.id = k.id) k
WHERE o.channel_id = k.channel_id AND o.number = k.number AND (o.reference IS NOT NULL OR o.by_number)
RETURNING o.*
"""


async def waiting(connection: Connection, rows: Sequence[Row]) -> list[Report]:
    """Take the reports that came before these parts became UNKNOWN and may be about them."""
    if not rows or not await connection.fetchval(_ANY):
        return []
    taken = await connection.fetch(_WAITING, [row["id"] for row in rows], [row["channel_id"] for row in rows])
    return sorted(map(report_of, taken), key=lambda report: report.received_at)

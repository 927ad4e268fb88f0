"""Reports that have found no part: what they would fit under another spelling, and what has been learned of that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from smsgw.core.model import Report
from smsgw.core.report_ids import OTHERS, Spelling, respell
from smsgw.core.states import PartState
from smsgw.store.engine.database import Connection, Database
from smsgw.store.engine.states import by_name

EVER = datetime(2000, 1, 1, tzinfo=UTC)
Fit = tuple[Spelling, int, int]
"""(spelling, message id, part)."""

# Only a part that waits for a report to this very number counts: two bases give many numbers in common.
_FITS = by_name("""
SELECT c.n, c.spelling, p.id, p.part
FROM unnest($1::int[], $2::int[], $3::text[], $4::text[], $5::text[]) AS c(n, channel_id, carrier_id, spelling, number)
JOIN part p ON p.channel_id = c.channel_id AND p.carrier_id = c.carrier_id AND p.id >= $6
    AND p.state IN (:SENT, :NO_REPORT)
JOIN message m ON m.id = p.id AND m.number = c.number
""")


async def fits(connection: Connection, reports: Sequence[Report], *, oldest: int) -> dict[int, list[Fit]]:
    """Position in ``reports`` -> the waiting parts that it would fit under other spellings."""
    asked = [
        (n, report.channel_id, candidate, spelling, report.number)
        for n, report in enumerate(reports)
        for spelling in OTHERS
        if (candidate := respell(report.carrier_id, spelling)) is not None and candidate != report.carrier_id
    ]
    found: dict[int, list[Fit]] = {}
    if asked:
        for row in await connection.fetch(_FITS, *map(list, zip(*asked, strict=True)), oldest):
            found.setdefault(row["n"], []).append((Spelling(row["spelling"]), row["id"], row["part"]))
    return found


_LOAD = "SELECT channel_id, mode FROM channel_spelling"


async def load(source: Connection | Database) -> dict[int, Spelling]:
    """Channel id -> how it spells; channels about which nothing is known are absent."""
    return {row["channel_id"]: Spelling(row["mode"]) for row in await source.fetch(_LOAD)}


_PUT = """
INSERT INTO channel_spelling (channel_id, mode, source, matches) VALUES ($1, $2, $3, $4)
ON CONFLICT (channel_id) DO UPDATE SET mode = excluded.mode, source = excluded.source, matches = excluded.matches,
    at = now()
"""


async def set_to(connection: Connection, channel_id: int, spelling: Spelling) -> None:
    """Somebody has said how a channel spells; nothing is learned about it any more."""
    await connection.execute(_PUT, channel_id, spelling, "set", 0)


async def learned(connection: Connection, channel_id: int, spelling: Spelling, matches: int) -> None:
    """Evidence has shown how a channel spells."""
    await connection.execute(_PUT, channel_id, spelling, "learned", matches)


_TAKE = """
DELETE FROM receipt_orphan WHERE ctid IN (
    SELECT ctid FROM receipt_orphan WHERE ($1::int IS NULL OR channel_id = $1) AND received_at >= $3
    ORDER BY received_at LIMIT $2 FOR UPDATE SKIP LOCKED
) RETURNING *
"""


def report_of(row: Any) -> Report:
    """A row of ``receipt_orphan`` as the report that it was."""
    return Report(
        channel_id=row["channel_id"],
        carrier_id=row["carrier_id"],
        state=PartState(row["state"]),
        code=row["code"],
        cls=row["class"],
        number=row["number"],
        received_at=row["received_at"],
        reference=row["reference"],
        by_number=row["by_number"],
        submitted=row["submitted"],
        pdu=row["pdu"],
    )


async def take(
    connection: Connection, channel_id: int | None, limit: int, *, since: datetime = EVER
) -> list[Report]:
    """Take unmatched reports out of the list, of one channel or of all, oldest first; they must be matched anew."""
    rows = await connection.fetch(_TAKE, channel_id, limit, since)
    return sorted(map(report_of, rows), key=lambda r: r.received_at)

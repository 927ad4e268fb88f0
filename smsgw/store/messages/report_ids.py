"""Reports that have found no part: what they would fit under another spelling, and what has been learned of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from smsgw.core.model import Report
from smsgw.core.report_ids import OTHERS, Spelling, respell
from smsgw.core.report_match import Candidate
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


async def take(connection: Connection, channel_id: int | None, limit: int, *, since: datetime = EVER) -> list[Report]:
    """Take unmatched reports out of the list, of one channel or of all, oldest first; they must be matched anew."""
    rows = await connection.fetch(_TAKE, channel_id, limit, since)
    return sorted(map(report_of, rows), key=lambda r: r.received_at)


# --- put to their message, one by one --------------------------------------------------------------------------------

NEWEST = 50
"""Parts to one number that are looked at."""
_ABOUT = """
SELECT k.n, p.id, p.part, p.state, p.channel_id, p.carrier_id
FROM unnest($1::text[]) WITH ORDINALITY AS k(number, n), LATERAL (
    SELECT p.id, p.part, p.state, p.channel_id, COALESCE(p.carrier_id, '') AS carrier_id
    FROM message m JOIN part p ON p.id = m.id AND p.id >= $2
    WHERE m.number = k.number AND m.id >= $2 AND p.channel_id > 0
    ORDER BY m.id DESC, p.part LIMIT $3
) p
"""


async def about(
    source: Connection | Database,
    numbers: Sequence[str],
    *,
    oldest: int,
    timeout: float,  # noqa: ASYNC109
) -> dict[int, list[Candidate]]:
    """Position in ``numbers`` -> the newest parts that went there by a channel."""
    found: dict[int, list[Candidate]] = {}
    if numbers:
        for row in await source.fetch(_ABOUT, list(numbers), oldest, NEWEST, timeout=timeout):
            one = Candidate(row["id"], row["part"], PartState(row["state"]), row["channel_id"], row["carrier_id"])
            found.setdefault(row["n"] - 1, []).append(one)
    return found


@dataclass(frozen=True, slots=True)
class Home:
    """The part that an unmatched report (``report``: its id in the list) is about, and by which rule."""

    report: int
    rule: str
    part: Candidate


_STILL = by_name("""
SELECT p.id, p.part
FROM unnest($1::bigint[], $2::smallint[], $3::int[], $4::text[]) AS k(id, part, channel_id, carrier_id)
JOIN part p ON p.id = k.id AND p.part = k.part AND p.channel_id = k.channel_id AND p.carrier_id = k.carrier_id
    AND p.id >= $5 AND +p.state IN (:SENT, :NO_REPORT)
ORDER BY p.id, p.part FOR UPDATE OF p
""")
_TAKE_THESE = "DELETE FROM receipt_orphan WHERE id = ANY($1::bigint[]) RETURNING *"


async def take_home(connection: Connection, homes: Sequence[Home]) -> list[tuple[Home, Report]]:
    """Take these reports out of the list, those whose part still waits for one, each as if it had come under the id and
    by the channel that the part's answer had; they must be matched in the same transaction."""
    parts = [home.part for home in homes]
    if not parts:
        return []
    rows = await connection.fetch(
        _STILL, [p.id for p in parts], [p.part for p in parts], [p.channel_id for p in parts],
        [p.carrier_id for p in parts], min(p.id for p in parts),
    )  # fmt: skip
    still = {(row["id"], row["part"]) for row in rows}
    wanted = {home.report: home for home in homes if (home.part.id, home.part.part) in still}
    taken = await connection.fetch(_TAKE_THESE, list(wanted)) if wanted else []
    found = []
    for row in sorted(taken, key=lambda row: row["received_at"]):
        home = wanted[row["id"]]
        here = replace(report_of(row), channel_id=home.part.channel_id, carrier_id=home.part.carrier_id)
        found.append((home, here))
    return found

"""Another try after a definite failure: the attempt that failed is put aside, its part waits or goes elsewhere.

Parts of one message stay together: a part that should leave its channel waits there until all of its siblings want to,
and is tried again in place when they do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from smsgw.core.model import Outcome, Report
from smsgw.core.states import PartState
from smsgw.store.engine.database import Connection, Row
from smsgw.store.engine.states import by_name
from smsgw.store.messages.evidence import PROOF
from smsgw.store.messages.matching import FITS, chosen, tails
from smsgw.store.messages.sweeps import STEP

RENDEZVOUS = timedelta(seconds=5)
"""The parts of a message wait at least this long for each other before one of them is tried again in place."""

_COLUMNS = (
    "p.id, p.part, p.total, p.attempt, p.state, p.lane, p.pool_id, p.tries, p.resent, p.failed, p.avoid_channels, "
    "p.channel_id, p.accepted_at, p.expires_at, p.account_id"
)

_LOOK_ANSWERS = by_name(f"""
SELECT k.n, {_COLUMNS}
FROM unnest($1::bigint[], $2::smallint[], $3::smallint[]) WITH ORDINALITY AS k(id, part, attempt, n)
JOIN part p ON p.id = k.id AND p.part = k.part
WHERE p.attempt = k.attempt AND +p.state IN (:SENDING, :UNKNOWN) AND p.id >= $4
""")  # noqa: S608 - constant text


async def parts_of_answers(connection: Connection, outcomes: Sequence[Outcome]) -> dict[int, Row]:
    """Position in ``outcomes`` -> the part that the answer is about, where it still waits for it."""
    ids = [o.id for o in outcomes]
    rows = await connection.fetch(
        _LOOK_ANSWERS, ids, [o.part for o in outcomes], [o.attempt for o in outcomes], min(ids)
    )
    return {row["n"] - 1: row for row in rows}


_LOOK_REPORTS = by_name(f"""
WITH r AS MATERIALIZED (
    SELECT *, $4::bigint AS newest
    FROM unnest($1::int[], $2::text[], $5::text[]) WITH ORDINALITY AS r(channel_id, carrier_id, tail, n)
)
SELECT * FROM ({chosen(_COLUMNS, "$3")}) hit WHERE state = :SENT
""")  # noqa: S608


async def parts_of_reports(
    connection: Connection, reports: Sequence[Report], *, oldest: int, newest: int
) -> dict[int, Row]:
    """Position in ``reports`` -> the part that waits for this report. A part is given once, to the first."""
    rows = await connection.fetch(
        _LOOK_REPORTS, [r.channel_id for r in reports], [r.carrier_id for r in reports], oldest, newest, tails(reports)
    )
    found: dict[int, Row] = {}
    given: set[tuple[int, int]] = set()
    for row in sorted(rows, key=lambda row: row["n"]):
        if (row["id"], row["part"]) not in given:
            given.add((row["id"], row["part"]))
            found[row["n"] - 1] = row
    return found


_MESSAGES = """
SELECT id, account_id, type, kind, number, carrier, sign, content FROM message WHERE id = ANY($1::bigint[]) AND id >= $2
"""


async def messages(connection: Connection, ids: Iterable[int]) -> dict[int, Row]:
    """Messages by id, for those that must be routed anew."""
    wanted = sorted(set(ids))
    return {row["id"]: row for row in await connection.fetch(_MESSAGES, wanted, wanted[0])}


@dataclass(frozen=True, slots=True)
class Again:
    """A part that is tried again."""

    id: int
    part: int
    attempt: int
    total: int
    at: datetime
    due: datetime
    """Not before this."""
    other: bool
    """On another channel."""
    pool_id: int
    reported: bool
    """The failure came in a report: a carrier had taken the part."""
    counted: bool
    """Counts against the rule's tries."""
    code: str
    cls: str


# What was taken, or failed for good on this channel, is kept; a mere "not now" leaves nothing behind but its event.
_AGAIN = by_name("""
WITH a AS (
    SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::smallint[], $4::timestamptz[], $5::bool[], $6::int[],
                         $7::bool[], $8::bool[], $9::text[], $10::text[])
    AS a(id, part, attempt, due, other, pool_id, reported, counted, code, class)
),
was AS MATERIALIZED (
    SELECT a.*, p.channel_id, p.carrier_id, p.claimed_at, p.answered_at
    FROM a JOIN part p ON p.id = a.id AND p.part = a.part
    WHERE p.attempt = a.attempt AND p.id >= $11
      AND (CASE WHEN a.reported THEN p.state = :SENT ELSE p.state IN (:SENDING, :UNKNOWN) END)
    ORDER BY p.id, p.part FOR UPDATE OF p
),
kept AS (
    INSERT INTO attempt (id, part, attempt, channel_id, carrier_id, code, claimed_at, answered_at)
    SELECT id, part, attempt, channel_id, carrier_id, code, claimed_at, answered_at FROM was WHERE reported OR other
    ON CONFLICT DO NOTHING
)
UPDATE part p SET state = :DEFERRED, next_at = was.due, elsewhere = was.other, code = was.code, class = was.class,
    tries = p.tries + was.counted::int, failed = p.failed OR was.reported, carrier_id = NULL, answered_at = NULL,
    pool_id = was.pool_id
FROM was WHERE p.id = was.id AND p.part = was.part AND p.id >= $11
RETURNING p.id, p.part, p.channel_id, p.account_id
""")

# Whole messages whose parts all want to leave.
_LEAVE = by_name("""
WITH whole AS MATERIALIZED (
    SELECT id, array_agg(DISTINCT channel_id) AS channels, max(next_at) AS due, max(pool_id) AS pool_id,
           bool_or(total > 1) AS several
    FROM part WHERE id = ANY($1::bigint[]) AND id >= $4 GROUP BY id
    HAVING bool_and(state = :DEFERRED AND elsewhere AND channel_id IS NOT NULL)
)
UPDATE part p SET
    state = CASE WHEN whole.due - (CASE WHEN whole.several THEN $3 ELSE interval '0' END) <= $2 THEN :QUEUED
        ELSE :DEFERRED END,
    next_at = CASE WHEN whole.due - (CASE WHEN whole.several THEN $3 ELSE interval '0' END) > $2 THEN whole.due END,
    avoid_channels = p.avoid_channels || whole.channels, elsewhere = false, pool_id = whole.pool_id,
    channel_id = NULL, epoch = NULL, claimed_at = NULL
FROM whole WHERE p.id = whole.id AND p.id >= $4
RETURNING p.id, p.part, p.state, p.pool_id, p.lane
""")


async def try_again(connection: Connection, again: Sequence[Again]) -> list[Row]:
    """Put the failed attempts aside; the parts that changed (id, part, channel_id of the failure, account_id)."""
    if not again:
        return []
    ordered = sorted(again, key=lambda a: (a.id, a.part))
    rows = await connection.fetch(
        _AGAIN,
        [a.id for a in ordered],
        [a.part for a in ordered],
        [a.attempt for a in ordered],
        [max(a.due, a.at + RENDEZVOUS) if a.other and a.total > 1 else a.due for a in ordered],
        [a.other for a in ordered],
        [a.pool_id for a in ordered],
        [a.reported for a in ordered],
        [a.counted for a in ordered],
        [a.code for a in ordered],
        [a.cls for a in ordered],
        ordered[0].id,
    )
    leaving = sorted({a.id for a in ordered if a.other})
    if leaving:
        await connection.execute(_LEAVE, leaving, max(a.at for a in ordered), RENDEZVOUS, leaving[0])
    return rows


_RELEASE = by_name(f"""
WITH due AS (
    SELECT id FROM part WHERE channel_id IS NULL AND state = :DEFERRED AND part = 1 AND next_at <= $1 AND id >= $2
    ORDER BY next_at LIMIT {STEP} FOR UPDATE SKIP LOCKED
)
UPDATE part p SET state = :QUEUED, next_at = NULL FROM due
WHERE p.id = due.id AND +p.state = :DEFERRED AND p.channel_id IS NULL AND p.id >= $2
RETURNING p.id, p.part, p.total, p.state, p.channel_id, p.carrier_id, p.account_id, p.code, p.class, p.by_us,
    p.answered_at, p.claimed_at, p.final_at, p.lane, p.pool_id
""")  # noqa: S608


async def release(connection: Connection, now: datetime, oldest: int) -> list[Row]:
    """Messages that wait for another channel, and whose time has come, are QUEUED."""
    return await connection.fetch(_RELEASE, now, oldest)


# The parts of a message that wait in a pool stay together: there a late delivery of one of them has to wait.
_LATE = by_name(f"""
WITH r AS MATERIALIZED (
    SELECT * FROM unnest($1::int[], $2::text[], $3::smallint[], $4::text[], $5::timestamptz[], $7::text[], $8::bytea[])
    WITH ORDINALITY AS r(channel_id, carrier_id, state, code, at, tail, pdu, n)
),
hit AS MATERIALIZED (
    SELECT DISTINCT ON (r.n) r.*, a.id, a.part
    FROM r JOIN attempt a ON a.channel_id = r.channel_id AND a.carrier_id = r.carrier_id AND a.id >= $6
           JOIN message m ON m.id = a.id AND m.id >= $6 AND {FITS}
    ORDER BY r.n, a.id DESC, a.attempt DESC
),
first AS MATERIALIZED (SELECT DISTINCT ON (id, part) * FROM hit WHERE state = :DELIVERED ORDER BY id, part, n),
done AS (
    UPDATE part p SET state = :DELIVERED, code = f.code, class = '', final_at = f.at, next_at = NULL
    FROM first f
    WHERE p.id = f.id AND p.part = f.part
        AND p.state IN (:HELD, :QUEUED, :DEFERRED, :SENDING, :SENT, :UNKNOWN, :NO_REPORT, :UNCONFIRMED) AND p.id >= $6
      AND (p.total = 1 OR p.channel_id IS NOT NULL)
    RETURNING f.n, p.id, p.part, p.total, p.state, p.channel_id, p.carrier_id, p.account_id, p.code, p.class,
              p.answered_at, p.claimed_at, p.final_at, f.channel_id AS told_channel, f.carrier_id AS told_id, f.pdu
),
proof AS ({PROOF})
SELECT n, id, part, total, state, channel_id, carrier_id, account_id, code, class, answered_at, claimed_at, final_at,
       NULL::bigint AS hit_id, NULL::smallint AS hit_part
FROM done
UNION ALL
SELECT n, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, id, part FROM hit
""")  # noqa: S608

_ENDED = by_name("""
SELECT k.n FROM unnest($1::bigint[], $2::smallint[]) WITH ORDINALITY AS k(id, part, n)
JOIN part p ON p.id = k.id AND p.part = k.part AND p.id >= $3
    WHERE p.state IN (:DELIVERED, :UNDELIVERABLE, :EXPIRED, :REJECTED, :CANCELLED, :DUPLICATE)
""")


async def late_reports(connection: Connection, reports: Sequence[Report], *, oldest: int) -> tuple[list[Row], set[int]]:
    """Reports of attempts that were given up: a delivery after all is the message's end, and stops what still waits.

    The rows that changed, and the positions of the reports that say nothing more: what has changed a part, is about one
    that has its end, or is the failure that was expected of an attempt given up.
    """
    rows = await connection.fetch(
        _LATE,
        [r.channel_id for r in reports],
        [r.carrier_id for r in reports],
        [int(r.state) for r in reports],
        [r.code for r in reports],
        [r.received_at for r in reports],
        oldest,
        tails(reports),
        [r.pdu for r in reports],
    )
    changed = [row for row in rows if row["id"] is not None]
    applied = {row["n"] - 1 for row in changed}
    hits = [row for row in rows if row["id"] is None and row["n"] - 1 not in applied]
    known = {row["n"] - 1 for row in hits if reports[row["n"] - 1].state is not PartState.DELIVERED}
    open_ = [row for row in hits if row["n"] - 1 not in known]
    if open_:
        ids = [row["hit_id"] for row in open_]
        ended = await connection.fetch(_ENDED, ids, [row["hit_part"] for row in open_], min(ids))
        known |= {open_[row["n"] - 1]["n"] - 1 for row in ended}
    return changed, applied | known

"""What partners ask about their messages, always within their account."""

from __future__ import annotations

from datetime import datetime, timedelta

from smsgw.core import numbers, states
from smsgw.core.ids import CHINA, first_id
from smsgw.core.numbers import InvalidNumber
from smsgw.core.partners import ReplyTo
from smsgw.core.states import PartState
from smsgw.runtime import clock
from smsgw.store.engine.database import Database, Row
from smsgw.store.engine.states import by_name

# An id of a part leads to the message that it has become part of; while it waits for its siblings it is "held".
_MESSAGE_OF = "SELECT message_id FROM partner_part WHERE id = $1 AND account_id = $2"
_STATES = "SELECT state, by_us, final_at, code FROM part WHERE id = $1 AND account_id = $2 ORDER BY part"
_WAITS = "SELECT 2::smallint AS state, false AS by_us, NULL::timestamptz AS final_at, '' AS code"
_REFUSED = "SELECT 45::smallint AS state, true AS by_us, clock_timestamp() AS final_at, '' AS code"


async def standing(database: Database, account_id: int, id_: int) -> Row | None:
    """The row of the part that decides where the message stands; None when there is no such message."""
    rows = await database.fetch(_STATES, id_, account_id)
    if not rows:
        kept = await database.fetchrow(_MESSAGE_OF, id_, account_id)
        if kept is None:
            return None
        if kept["message_id"] is None:
            return await database.fetchrow(_WAITS)
        if kept["message_id"] == id_:
            return await database.fetchrow(_REFUSED)
        rows = await database.fetch(_STATES, kept["message_id"], account_id)
        if not rows:
            return None
    state = states.message_state(PartState(row["state"]) for row in rows)
    return next(row for row in rows if row["state"] == state)


_OF_SUBMIT = """
SELECT id, id = $1 AS first, ext FROM message
WHERE account_id = $2 AND batch_id = $1 AND id >= $1 AND id < $1 + 4096 ORDER BY id
"""


async def of_submit(database: Database, account_id: int, id_: int) -> list[int]:
    """The messages behind an id that a submit was answered with: one, those of a group, or the one of a part."""
    rows = await database.fetch(_OF_SUBMIT, id_, account_id)
    group = [r["id"] for r in rows if r["first"] or ((to := ReplyTo.unpack(r["ext"])) is not None and to.group)]
    if group:
        return group
    if await database.fetchval("SELECT 1 FROM message WHERE id = $1 AND account_id = $2", id_, account_id):
        return [id_]
    joined = await database.fetchval(_MESSAGE_OF, id_, account_id)
    return [joined] if joined is not None and joined != id_ else []


_WAITING = by_name("""
SELECT m.id, m.ext FROM message m
WHERE m.number = $2 AND m.account_id = $1 AND m.id >= $3
  AND EXISTS (SELECT 1 FROM part p WHERE p.id = m.id AND p.state IN (:HELD, :SCHEDULED, :QUEUED, :DEFERRED))
ORDER BY m.id LIMIT $4
""")


async def waiting(database: Database, account_id: int, source: str, destination: str, limit: int) -> list[int]:
    """Messages from one address to another that no carrier has yet, oldest first."""
    try:
        number = numbers.normalize(destination)
    except InvalidNumber:
        return []
    oldest = first_id(clock.now() - timedelta(days=7))
    found = []
    for row in await database.fetch(_WAITING, account_id, number, oldest, limit):
        reply = ReplyTo.unpack(row["ext"])
        if reply is not None and reply.source == source:
            found.append(row["id"])
    return found


_COUNTS = """
SELECT metric, sum(n)::bigint AS n FROM stat_minute
WHERE minute >= $2 AND minute < $3 AND account_id = $1 GROUP BY metric
"""
_MO_WAITING = """
SELECT count(*) FROM customer_event
WHERE account_id = $1 AND kind = 'mo' AND acknowledged_at IS NULL AND id >= $2 AND id < $3
"""


async def counts(database: Database, account_id: int, day: str) -> dict[str, int]:
    """Parts accepted, submitted, failed and waiting, messages from phones and those that wait, of a day YYYYMMDD."""
    try:
        start = datetime.strptime(day, "%Y%m%d").replace(tzinfo=CHINA)
    except ValueError:
        return {}
    end = start + timedelta(days=1)
    found = {row["metric"]: row["n"] for row in await database.fetch(_COUNTS, account_id, start, end)}
    accepted, submitted = found.get("accepted", 0), found.get("submitted", 0)
    failed = found.get("failed", 0) + found.get("rejected", 0)
    mo_waiting = await database.fetchval(_MO_WAITING, account_id, first_id(start), first_id(end))
    return {
        "accepted": accepted,
        "submitted": submitted,
        "failed": failed,
        "waiting": max(0, accepted - submitted - found.get("rejected", 0)),
        "mo": found.get("mo", 0),
        "mo_waiting": mo_waiting,
    }

"""What a restored database may send: nothing that a carrier may have had since the backup, until somebody decides.

Whatever had no end when the backup was made may have been sent, answered and reported on since. It is UNKNOWN without a
time at which any policy acts; the code says what it was, and the decision is made in bulk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from smsgw.core.states import PartState
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.states import by_name
from smsgw.store.messages.calls import NewCall
from smsgw.store.messages.evidence import DECISION
from smsgw.store.messages.sweeps import COLUMNS, STEP

RESTORED = "RESTORED"
"""Why tasks rest and jobs have failed."""
WAS = {
    PartState.HELD: "RESTORED_HELD", PartState.SCHEDULED: "RESTORED_SCHEDULED", PartState.QUEUED: "RESTORED_QUEUED",
    PartState.DEFERRED: "RESTORED_DEFERRED", PartState.SENDING: "RESTORED_CLAIMED",
    PartState.UNKNOWN: "RESTORED_UNCERTAIN",
}  # fmt: skip
"""Code of a part by what it was in the backup."""
HELD_FOR = {"account": "RESTORED_STOPPED", "task": "RESTORED_PAUSED"}
"""… of a held one that waited for no reviewer: for its account to be started, or for its task to go on."""
SPOOLED = "RESTORED_SPOOLED"
"""… and of one that a node had accepted while the database was away: it may have been entered into the one before."""
CODES = (*WAS.values(), *HELD_FOR.values(), SPOOLED)
_NAMED = ", ".join(f"'{code}'" for code in CODES)

_PARTS = by_name(f"""
WITH was AS MATERIALIZED (
    SELECT id, part, state, held_for, code FROM part
    WHERE state IN (:HELD, :QUEUED, :DEFERRED, :SENDING, :UNKNOWN) OR (state = :SCHEDULED AND next_at <= $1)
),
done AS (
    UPDATE part p SET state = :UNKNOWN, next_at = NULL, held_for = NULL, elsewhere = false, by_us = false, class = '',
        code = CASE {" ".join(f"WHEN was.held_for = '{why}' THEN '{code}'" for why, code in HELD_FOR.items())}
               WHEN was.state = :UNKNOWN AND was.code IN ({_NAMED}) THEN was.code
               {" ".join(f"WHEN was.state = {int(state)} THEN '{code}'" for state, code in WAS.items())} END
    FROM was WHERE p.id = was.id AND p.part = was.part RETURNING p.id, p.code
),
told AS (
    INSERT INTO event (id, at, part, kind, detail)
    SELECT DISTINCT id, $1::timestamptz, 0, 'restored', '{{}}'::jsonb FROM done
)
SELECT code, count(*) AS n FROM done GROUP BY code
""")  # noqa: S608 - constants
# A failure that is reported of them may have been followed by another attempt since: as what was sent twice, they are
# not tried again.
_NO_MORE_TRIES = by_name("UPDATE part SET resent = 1 WHERE state = :SENT AND resent = 0")
_REVIEWS = "UPDATE review SET state = 'expired', decided_at = $1 WHERE state = 'pending' AND NOT task"
# When one begins may have been changed since, to a time that is over: also what waits for a later one rests.
_TASKS = f"""
UPDATE task SET state = 'paused', paused_from = CASE WHEN state = 'paused' THEN paused_from ELSE state END,
                self_paused = false, reason = '{RESTORED}', detail = '{{}}'
WHERE state IN ('scheduled', 'running', 'sent') OR (state = 'paused' AND self_paused)
"""  # noqa: S608 - constants
# Once it is approved it rests, too.
_REVIEWED_TASKS = f"""
UPDATE task SET paused_from = COALESCE(paused_from, 'scheduled'), self_paused = false, reason = '{RESTORED}',
                detail = '{{}}'
WHERE state = 'review' AND COALESCE(next_at, send_at, created_at) > $1
"""  # noqa: S608 - constants
# Whether they were sent meanwhile nobody can tell from here.
_UNBEGUN_TASKS = f"""
UPDATE task SET state = 'failed', reason = '{RESTORED}', detail = '{{}}', ended_at = $1
WHERE state = 'importing' OR (state = 'review' AND COALESCE(next_at, send_at, created_at) <= $1)
"""  # noqa: S608 - constants
_TASK_REVIEWS = """
UPDATE review r SET state = 'expired', decided_at = $1 FROM task t
WHERE r.state = 'pending' AND r.task AND t.id = r.task_id AND t.state = 'failed'
"""
# Codes that were given out since are somebody's: what is left of them is given to nobody, links go on with new ones.
_LINKS = "UPDATE short_link SET used = codes WHERE kind = 'personal' AND used < codes"
_CHAINS = "UPDATE fallback_watch SET look_at = NULL, open = '{}' WHERE look_at IS NOT NULL"
_JOBS = f"""
UPDATE job SET state = 'failed', error = '{RESTORED}', ended_at = $1 WHERE state IN ('waiting', 'running')
"""  # noqa: S608 - constants
_NOTES = "UPDATE alarm_note SET state = 'unsure', ended_at = $1 WHERE state IN ('waiting', 'sending')"


async def settle(connection: Connection, now: datetime) -> dict[str, int]:
    """See that nothing is sent by itself that was without an end; how many of what. As the owner, in a transaction."""
    done = {row["code"]: row["n"] for row in await connection.fetch(_PARTS, now)}
    for name, statement in (
        ("tasks_paused", _TASKS), ("tasks_failed", _UNBEGUN_TASKS), ("tasks_reviewed", _REVIEWED_TASKS),
        ("chains_ended", _CHAINS), ("jobs_failed", _JOBS), ("notes_dropped", _NOTES), ("reviews_ended", _REVIEWS),
        ("links_used_up", _LINKS),
    ):  # fmt: skip
        tag = await connection.execute(statement, *([now] if "$1" in statement else []))
        done[name] = int(tag.rpartition(" ")[2])
    await connection.execute(_TASK_REVIEWS, now)
    await connection.execute(_NO_MORE_TRIES)
    return {name: n for name, n in done.items() if n}


def doubted(call: NewCall, now: datetime) -> NewCall:
    """A spooled call of which nothing is sent by itself: it may have been entered, and sent, before the restore. What
    is due later than ``now`` cannot have been."""
    parts = []
    for row in call.parts:
        if row.state == PartState.SCHEDULED and row.next_at is not None and row.next_at > now:
            parts.append(row)
        else:
            code = WAS[PartState.HELD] if row.state == PartState.HELD else SPOOLED
            parts.append(row._replace(state=int(PartState.UNKNOWN), code=code, next_at=None))
    return replace(call, parts=parts, review=None, follow=None)


# --- the decision ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RestoreSelection:
    """Of which a decision is."""

    account: str = ""
    """Of this account alone; empty: of all."""
    codes: Sequence[str] = CODES
    lanes: Sequence[int] | None = None
    """Of these lanes alone; None: of all."""


_UNDECIDED = by_name(f"""
p.state = :UNKNOWN AND p.next_at IS NULL AND p.code IN ({_NAMED})
""")
_WHICH = f"""
{_UNDECIDED} AND p.code = ANY($1::text[]) AND ($2 = '' OR p.account_id = (SELECT id FROM account WHERE name = $2))
AND ($3::smallint[] IS NULL OR p.lane = ANY($3))
"""  # noqa: S608 - constants
_NUMBERS = f"""
SELECT COALESCE(a.name, '') AS account, p.code, count(*) AS parts, count(DISTINCT p.id) AS messages,
       count(*) FILTER (WHERE p.expires_at > $4) AS valid,
       count(*) FILTER (WHERE p.id < $5) AS too_old, min(p.accepted_at) AS oldest, max(p.accepted_at) AS newest
FROM part p LEFT JOIN account a ON a.id = p.account_id WHERE {_WHICH} GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608 - constants
_COUNT = f"SELECT count(*) FROM part p WHERE {_UNDECIDED}"  # noqa: S608 - constants


async def numbers(database: Database, which: RestoreSelection, now: datetime, oldest: int) -> list[Row]:
    """How many stand undecided, by account and what they were; ``oldest``: id below which nothing is sent again."""
    return await database.fetch(_NUMBERS, list(which.codes), which.account, which.lanes, now, oldest, timeout=60)


async def undecided(database: Database) -> int:
    """Parts that nobody has decided about yet."""
    n: int = await database.fetchval(_COUNT)
    return n


# Whole messages go to their pool again, for any channel of it; what an attempt of theirs may still come to lies aside.
# Of a message that was decided about in part, the rest is decided part by part (``sweeps.decide_unknown``).
_MAY_GO = by_name(f"""
SELECT DISTINCT p.id FROM part p
WHERE {_WHICH} AND p.id > $5 AND p.code <> '{WAS[PartState.HELD]}'
  AND greatest(p.expires_at, $4::timestamptz + $6::interval) > $4
ORDER BY p.id LIMIT {STEP}
""")  # noqa: S608 - constants
_MESSAGES = """
SELECT id, number, account_id, type, sign, kind FROM message WHERE id = ANY($1::bigint[]) AND id >= $2 AND id <= $3
"""
_AGAIN = by_name(f"""
WITH due AS MATERIALIZED (
    SELECT p.id, p.part, p.total, p.attempt, p.channel_id, p.carrier_id, p.code, p.claimed_at, p.answered_at
    FROM part p WHERE p.id = ANY($1::bigint[]) AND p.id >= $2 AND {_UNDECIDED} ORDER BY p.id, p.part FOR UPDATE OF p
),
whole AS (SELECT id FROM due GROUP BY id, total HAVING count(*) = total),
aside AS (
    INSERT INTO attempt (id, part, attempt, channel_id, carrier_id, code, claimed_at, answered_at)
    SELECT id, part, attempt, channel_id, carrier_id, code, claimed_at, answered_at FROM due
    WHERE channel_id IS NOT NULL AND id IN (SELECT id FROM whole) ON CONFLICT DO NOTHING
),
done AS (
    UPDATE part p SET state = :QUEUED, code = '', channel_id = NULL, epoch = NULL, carrier_id = NULL, claimed_at = NULL,
        answered_at = NULL, resent = p.resent + 1, expires_at = greatest(p.expires_at, $3::timestamptz + $4::interval)
    FROM whole WHERE p.id = whole.id AND p.id >= $2 AND +p.state = :UNKNOWN RETURNING {COLUMNS}, p.lane
)
SELECT * FROM done
""")  # noqa: S608 - constants
_END = by_name(f"""
WITH due AS MATERIALIZED (
    SELECT p.id, p.part FROM part p WHERE {_WHICH} ORDER BY p.id, p.part LIMIT {STEP} FOR UPDATE OF p
),
done AS (
    UPDATE part p SET state = $5::smallint, code = $7, by_us = true, final_at = $4
    FROM due WHERE p.id = due.id AND p.part = due.part AND +p.state = :UNKNOWN RETURNING {COLUMNS}
),
proof AS ({DECISION})
SELECT * FROM done
""")  # noqa: S608 - constants


async def next_messages(
    connection: Connection, which: RestoreSelection, now: datetime, after: int, extend: timedelta
) -> list[Row]:
    """A step of the messages above the id ``after`` that may be sent again: not those that wait for a reviewer, nor
    what is over. What is valid for less than ``extend`` is going to be."""
    rows = await connection.fetch(_MAY_GO, list(which.codes), which.account, which.lanes, now, after, extend)
    ids = [row["id"] for row in rows]
    return await connection.fetch(_MESSAGES, ids, ids[0], ids[-1]) if ids else []


async def send_again(connection: Connection, ids: Sequence[int], now: datetime, extend: timedelta) -> list[Row]:
    """Queue those of them again that are undecided as a whole; the rows that changed."""
    return await connection.fetch(_AGAIN, list(ids), min(ids), now, extend) if ids else []


async def end(
    connection: Connection, which: RestoreSelection, now: datetime, state: PartState, code: str, by: str
) -> list[Row]:
    """End a step of them; the rows that changed, none at the end. ``by``: who has decided."""
    return await connection.fetch(_END, list(which.codes), which.account, which.lanes, now, int(state), by, code)

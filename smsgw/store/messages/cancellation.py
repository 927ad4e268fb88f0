"""Taking back what waits: cancelled by its owner, or recalled because the number must not get it any more.

Whole messages only, and only while no part of them was handed to a carrier (nor, in an earlier attempt, may have been).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from smsgw.core.ids import first_id, time_of
from smsgw.core.states import PartState, allowed
from smsgw.store.engine.database import Connection, Database, Row, as_writer
from smsgw.store.engine.states import by_name
from smsgw.store.messages.sweeps import COLUMNS

WAITING = frozenset({PartState.HELD, PartState.SCHEDULED, PartState.QUEUED, PartState.DEFERRED})
STEP = 500
"""Messages that one transaction takes back."""

_LOCK = """
SELECT id, state, resent, failed FROM part WHERE id = ANY($1::bigint[]) AND id >= $2 ORDER BY id, part FOR UPDATE
"""

_END_WAITING = f"""
UPDATE part p SET state = $3, final_at = $4, next_at = NULL, held_for = NULL, code = $5, class = $6, by_us = true
WHERE p.id = ANY($1::bigint[]) AND p.id >= $2 RETURNING {COLUMNS}
"""  # noqa: S608 - constant text


async def end_waiting(
    connection: Connection, ids: Sequence[int], state: PartState, code: str, cls: str, now: datetime
) -> list[Row]:
    """End the messages in ``state`` (CANCELLED, REJECTED); the rows of those for which it was not too late."""
    if state not in (PartState.CANCELLED, PartState.REJECTED):
        raise ValueError(f"{state.name} is no end of what waits")
    if not ids:
        return []
    rows = await connection.fetch(_LOCK, list(ids), min(ids))
    whole = {row["id"] for row in rows}
    for row in rows:
        waits = row["state"] in WAITING and allowed(PartState(row["state"]), state)
        if not waits or row["resent"] or row["failed"]:
            whole.discard(row["id"])
    if not whole:
        return []
    return await connection.fetch(_END_WAITING, sorted(whole), min(whole), int(state), now, code, cls)


_MESSAGE = """
SELECT id FROM message
WHERE id = $1 AND ($2::bigint[] IS NULL OR account_id = ANY($2)) AND ($3::bool IS NULL OR test = $3)
"""
_BATCH = """
SELECT id FROM message
WHERE batch_id = $1 AND id > $3 AND id < $4 AND ($2::bigint[] IS NULL OR account_id = ANY($2)) ORDER BY id LIMIT $5
"""
_MADE_WITHIN = timedelta(seconds=10)
"""The ids of a call are made in one go."""
_STATES = "SELECT DISTINCT state FROM part WHERE id = $1"


async def message(
    database: Database | Connection, message_id: int, accounts: Sequence[int] | None, *, test: bool | None = None
) -> bool:
    """Whether there is such a message of these accounts (None: of any), in test mode or not (None: either)."""
    if not 0 < message_id < 2**63:
        return False
    owned = None if accounts is None else list(accounts)
    return await database.fetchval(_MESSAGE, message_id, owned, test) is not None


async def of_batch(database: Database, batch_id: int, accounts: Sequence[int] | None, after: int) -> list[int]:
    """Ids of the messages of a call, at most ``STEP`` behind ``after``."""
    if not 0 < batch_id < 2**63:
        return []
    owned = None if accounts is None else list(accounts)
    end = first_id(time_of(batch_id) + _MADE_WITHIN)
    rows = await database.fetch(_BATCH, batch_id, owned, max(after, batch_id - 1), end, STEP)
    return [row["id"] for row in rows]


async def is_cancelled(database: Database, message_id: int) -> bool:
    """Whether the message was cancelled before."""
    rows = await database.fetch(_STATES, message_id)
    return [row["state"] for row in rows] == [PartState.CANCELLED]


# --- recalls ---------------------------------------------------------------------------------------------------------

_SET_POSITION = "UPDATE job_position SET position = $2 WHERE job = $1 AND position < $2"
# Asked each second: one statement for both lists.
_STANDING = """
SELECT job, position, CASE job WHEN 'recall' THEN (SELECT COALESCE(max(version), 0) FROM block_list)
                               ELSE (SELECT COALESCE(max(version), 0) FROM consent) END AS newest
FROM job_position WHERE job IN ('recall', 'consent')
"""
_ENTRIES = """
SELECT number, account_id, type, sign, source, version,
       removed_at IS NULL AND (expires_at IS NULL OR expires_at > now()) AS holds
FROM block_list WHERE version > $1 ORDER BY version LIMIT $2
"""
_WITHDRAWALS = """
SELECT number, version, withdrawn_at IS NOT NULL AND NOT replaced AS holds
FROM consent WHERE version > $1 ORDER BY version LIMIT $2
"""
ENTRIES = 500


@dataclass(frozen=True, slots=True)
class Followed:
    """A list whose changes are followed, in the order of their versions."""

    job: str
    """Where it is remembered how far."""
    entries: str


BLOCKED = Followed("recall", _ENTRIES)
CONSENTS = Followed("consent", _WITHDRAWALS)


class Standing(NamedTuple):
    """How far a list has been followed."""

    done: int
    """Version up to which everything has been recalled for good."""
    newest: int
    """The list's version."""


# By number, then by what the entry says; a message of several entries is told of the most general, as at acceptance.
# Step by step: left to itself the planner would walk the messages in the order of their ids, as the answer wants them.
_WAITING = by_name("""
WITH b AS MATERIALIZED (
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[])
    AS b(number, account_id, type, sign, source)
),
hit AS MATERIALIZED (
    SELECT m.id, b.source
    FROM b, LATERAL (
        SELECT x.id, x.account_id, x.type, x.sign FROM message x
        WHERE (x.number, x.id) >= (b.number, $6) AND x.number <= b.number AND x.id >= $6
        ORDER BY x.number, x.id OFFSET 0
    ) m
    WHERE m.id > $7 AND (b.account_id = 0 OR b.account_id = m.account_id)
      AND (b.type = '' OR b.type = m.type) AND (b.sign = '' OR b.sign = m.sign)
),
waits AS MATERIALIZED (
    SELECT hit.id, hit.source FROM hit JOIN part p ON p.id = hit.id AND p.part = 1 AND p.id >= $6
    WHERE p.state IN (:HELD, :SCHEDULED, :QUEUED, :DEFERRED)
)
SELECT id, min(source) FILTER (WHERE source <> 'opt_out') AS source FROM waits GROUP BY id ORDER BY id LIMIT $8
""")


# As above, of accounts that send marketing by consent alone; what was said of it is judged by the caller.
_MARKETING = by_name("""
WITH b AS MATERIALIZED (SELECT DISTINCT number FROM unnest($1::text[]) AS b(number)),
hit AS MATERIALIZED (
    SELECT m.id, m.number, m.account_id, m.kind
    FROM b, LATERAL (
        SELECT x.id, x.number, x.account_id, x.type, x.kind FROM message x
        WHERE (x.number, x.id) >= (b.number, $3) AND x.number <= b.number AND x.id >= $3
        ORDER BY x.number, x.id OFFSET 0
    ) m
    WHERE m.id > $4 AND m.account_id = ANY($2::bigint[]) AND m.type = 'marketing'
)
SELECT hit.id, hit.number, hit.account_id, hit.kind FROM hit JOIN part p ON p.id = hit.id AND p.part = 1 AND p.id >= $3
WHERE p.state IN (:HELD, :SCHEDULED, :QUEUED, :DEFERRED) ORDER BY hit.id LIMIT $5
""")
_SAID = """
SELECT DISTINCT ON (number, account_id) number::text, account_id, withdrawn_at IS NULL AS holds
FROM consent WHERE number = ANY($1::bigint[]) ORDER BY number, account_id, id DESC
"""


async def standings(database: Database) -> dict[str, Standing]:
    """How far each list has been followed, by ``Followed.job``."""
    rows = await database.fetch(_STANDING)
    return {row["job"]: Standing(row["position"], row["newest"]) for row in rows}


async def set_position(connection: Connection, followed: Followed, version: int) -> None:
    """Remember how far it is."""
    await connection.execute(_SET_POSITION, followed.job, version)


async def entries(connection: Connection, followed: Followed, after: int) -> list[Row]:
    """What has changed on the list behind a version, at most ``ENTRIES``."""
    return await connection.fetch(followed.entries, after, ENTRIES)


async def said(connection: Connection, numbers: Sequence[int]) -> dict[tuple[str, int], bool]:
    """By number and account: whether its owner has agreed to get marketing of it, in the newest row of the ledger."""
    rows = await connection.fetch(_SAID, list(numbers))
    return {(row["number"], row["account_id"]): row["holds"] for row in rows}


async def marketing_for(
    connection: Connection, numbers: Sequence[int], accounts: Sequence[int], *, oldest: int, after: int
) -> list[Row]:
    """Marketing (id, number, account_id, kind) of these accounts that waits for these numbers, at most ``STEP`` behind
    ``after``."""
    async with connection.transaction():
        await as_writer(connection)
        return await connection.fetch(_MARKETING, [str(n) for n in numbers], list(accounts), oldest, after, STEP)


async def waiting_for(connection: Connection, blocked: Sequence[Row], *, oldest: int, after: int) -> list[Row]:
    """Messages (id, source: None for an opt-out) that wait for blocked numbers, at most ``STEP`` behind ``after``."""
    async with connection.transaction():
        await as_writer(connection)
        return await connection.fetch(
            _WAITING,
            [str(row["number"]) for row in blocked],
            [row["account_id"] for row in blocked],
            [row["type"] for row in blocked],
            [row["sign"] for row in blocked],
            [row["source"] for row in blocked],
            oldest,
            after,
            STEP,
        )

"""What waits in the queues: by pool and lane, and whose it is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from smsgw.core.ids import first_id, time_of
from smsgw.core.model import LONGEST_VALIDITY, Lane
from smsgw.runtime import clock
from smsgw.store.engine.database import Database
from smsgw.store.engine.states import by_name

LOOKED_AT = 10_000
"""Messages of one pool in one lane, those that go next; beyond them nothing is counted."""
MOST_ACCOUNTS = 50
PATIENCE = 15.0

# By part_claim, as a channel claims. Those of a pool and lane are as old as their ids, but for what was held meanwhile.
_HEADS = by_name("""
WITH q AS MATERIALIZED (
    SELECT id AS pool_id, lane::smallint FROM pool, unnest('{0,1,2,3}'::int[]) l (lane) WHERE id > 0
), w AS MATERIALIZED (
    SELECT q.pool_id, q.lane, f.id, f.account_id FROM q, LATERAL (
        SELECT p.id, p.account_id FROM part p
        WHERE p.pool_id = q.pool_id AND p.lane = q.lane AND p.state = :QUEUED AND p.part = 1 AND p.id >= $1
        ORDER BY p.pool_id, p.lane, p.id LIMIT $2
    ) f
)
""")
_QUEUES = f"""{_HEADS}
SELECT w.pool_id, pool.name AS pool, w.lane, count(*)::int AS n, min(w.id) AS first
FROM w JOIN pool ON pool.id = w.pool_id GROUP BY 1, 2, 3 ORDER BY w.lane, n DESC, pool.name
"""  # noqa: S608 - constants
_ACCOUNTS = f"""{_HEADS}
SELECT w.account_id AS id, a.name, a.display_name, a.halted, count(*)::int AS n, min(w.id) AS first
FROM w JOIN account a ON a.id = w.account_id GROUP BY 1, 2, 3, 4 ORDER BY n DESC, a.name LIMIT $3
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class QueueLine:
    """What waits in one pool in one lane."""

    pool_id: int
    pool: str
    lane: str
    n: int
    since: datetime
    """The first one was accepted then."""

    @property
    def more(self) -> bool:
        """There are at least so many."""
        return self.n >= LOOKED_AT


@dataclass(frozen=True, slots=True)
class AccountLine:
    """What of an account waits, among what goes next."""

    id: int
    name: str
    display_name: str
    halted: bool
    n: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """The queues at a moment."""

    at: datetime
    queues: Sequence[QueueLine]
    accounts: Sequence[AccountLine]
    took: float
    """Seconds."""


async def standing(database: Database) -> Standing:
    """What waits now, of all accounts."""
    began, now = time.monotonic(), clock.now()
    oldest = first_id(now - LONGEST_VALIDITY)
    queues = await database.fetch(_QUEUES, oldest, LOOKED_AT, timeout=PATIENCE)
    accounts = await database.fetch(_ACCOUNTS, oldest, LOOKED_AT, MOST_ACCOUNTS, timeout=PATIENCE)
    return Standing(
        now,
        [QueueLine(row["pool_id"], row["pool"], Lane(row["lane"]).name.lower(), row["n"], time_of(row["first"]))
         for row in queues],
        [AccountLine(row["id"], row["name"], row["display_name"], row["halted"], row["n"], time_of(row["first"]))
         for row in accounts],
        time.monotonic() - began,
    )  # fmt: skip

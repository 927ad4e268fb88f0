"""Messages with a chain of hops behind them: entered with the call that stores them, and looked at until they end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smsgw.core.fallback import Chain, chain_of
from smsgw.core.ids import first_id
from smsgw.core.states import PartState
from smsgw.store.engine.database import Connection, Database, Row, delete_all
from smsgw.store.messages.calls import NewCall

_ENTER = """
INSERT INTO fallback_watch (base_id, ids, account_id, chain, hop, first_id, task_id, run, reviewed, vals, open, until,
                            look_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""


async def enter(connection: Connection, calls: Sequence[NewCall]) -> None:
    """What is accepted of calls that have a chain is looked at from now on."""
    for call in calls:
        one = call.follow
        if one is None or not call.messages:
            continue
        ids = [row.id for row in call.messages]
        await connection.execute(
            _ENTER, ids[0], ids, call.account_id, json.dumps(one.chain, ensure_ascii=False), one.hop,
            one.first_id, one.task_id, one.run, one.reviewed,
            json.dumps(one.values, ensure_ascii=False) if one.values else None, ids, one.until, one.look_at,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Watch:
    """Messages of one call, and what may follow them."""

    base_id: int
    account_id: int
    chain: Chain
    hop: int
    first_id: int | None
    task_id: int | None
    run: int | None
    reviewed: bool
    values: Mapping[str, Mapping[str, str]]
    open: Sequence[int]
    until: datetime
    problem: str
    look_at: datetime | None

    @property
    def task(self) -> tuple[int, int] | None:
        """The task that they are of, and its run."""
        return None if self.task_id is None else (self.task_id, self.run or 0)


def _watch(row: Row) -> Watch:
    chain: dict[str, Any] = json.loads(row["chain"])
    return Watch(
        row["base_id"], row["account_id"], chain_of(chain), row["hop"], row["first_id"], row["task_id"], row["run"],
        row["reviewed"], json.loads(row["vals"] or "{}"), row["open"], row["until"], row["problem"], row["look_at"],
    )  # fmt: skip


_DUE = "SELECT * FROM fallback_watch WHERE look_at <= $1 ORDER BY look_at LIMIT $2"
# Values of variables are of people: they are kept as long as a hop may need them.
_LOOKED = """
UPDATE fallback_watch
SET open = $2, look_at = $3, problem = $4, vals = CASE WHEN $3::timestamptz IS NULL THEN NULL ELSE vals END
WHERE base_id = $1
"""
_STATES = """
SELECT p.id, array_agg(p.state) AS states, array_agg(p.by_us) AS bys FROM part p
WHERE p.id = ANY($1::bigint[]) AND p.id >= $2 AND p.id <= $3 GROUP BY p.id
"""


async def due(database: Database, now: datetime, limit: int) -> list[Watch]:
    """What is to be looked at, the longest overdue first."""
    return [_watch(row) for row in await database.fetch(_DUE, now, limit)]


async def looked(
    database: Database, base_id: int, open_: Sequence[int], look_at: datetime | None, problem: str = ""
) -> None:
    """What is still open, and when it is looked at again; None: never."""
    await database.execute(_LOOKED, base_id, list(open_), look_at, problem)


async def states(database: Database, ids: Sequence[int]) -> dict[int, list[tuple[PartState, bool]]]:
    """State of each part, and whether it was ourselves who refused it, by message."""
    if not ids:
        return {}
    rows = await database.fetch(_STATES, list(ids), min(ids), max(ids), timeout=30)
    return {
        row["id"]: [(PartState(state), by_us) for state, by_us in zip(row["states"], row["bys"], strict=True)]
        for row in rows
    }


_OF = "SELECT * FROM fallback_watch WHERE base_id <= $1 AND base_id > $1 - $2 AND $1 = ANY(ids) LIMIT 1"
MOST = 4096
"""Ids of one block."""


async def of_message(database: Database | Connection, message_id: int) -> Watch | None:
    """The watch that the message is, or was, under."""
    row = await database.fetchrow(_OF, message_id, MOST)
    return None if row is None else _watch(row)


_SWEEP = """
DELETE FROM fallback_watch WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM fallback_watch WHERE base_id < $1 LIMIT $2 FOR UPDATE SKIP LOCKED))
"""


async def sweep(connection: Connection, before: datetime) -> None:
    """Forget messages that are kept no longer."""
    await delete_all(connection, _SWEEP, first_id(before))

"""The statements of load tests. What runs writes under the job's own row: one that has ended is not changed again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from smsgw.core.actor import Actor, ActorLabel
from smsgw.core.errors import Refused
from smsgw.platform.load_tests.model import KEPT, LoadTest, Profile, Scenario, State
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.store.engine.database import Connection, Database, Row

# One whose job has ended without a word (cancelled before it began, forgotten) is over, too.
_COLUMNS = """
t.id, t.job_id, t.scenario, t.rate, t.seconds, t.reason, t.node, t.begun_by, t.begun_at, t.ended_at, t.error,
CASE WHEN t.state NOT IN ('waiting', 'running') OR j.state IN ('waiting', 'running') THEN t.state
     WHEN j.state = 'cancelled' THEN 'stopped' ELSE 'failed' END AS state
"""
_FROM = "FROM load_test t LEFT JOIN job j ON j.id = t.job_id"
# S608: texts of ours.
_SEARCH = f"""
SELECT {_COLUMNS}, '[]' AS samples, NULL AS result, {{key}} AS _key {_FROM} WHERE $1 AND {{where}} ORDER BY {{order}}
"""
_COUNT = "SELECT count(*) FROM load_test WHERE $1"
_ONE = f"SELECT {_COLUMNS}, t.samples, t.result {_FROM} WHERE $1 AND t.id = $2"
ORDERS = {"begun_at": Order("t.begun_at", "timestamptz")}


def _of(row: Row) -> LoadTest:
    return LoadTest(
        row["id"], row["job_id"], Profile(Scenario(row["scenario"]), row["rate"], row["seconds"]), row["reason"],
        row["node"], row["begun_by"], row["begun_at"], State(row["state"]), row["ended_at"], row["error"],
        json.loads(row["samples"]), None if row["result"] is None else json.loads(row["result"]),
    )  # fmt: skip


def _whole(actor: Actor) -> bool:
    """Load tests are of the platform: nothing for who sees some accounts alone."""
    return actor.scope.whole is None


async def search(database: Database, actor: Actor, window: Window) -> Slice[LoadTest]:
    """The newest first."""
    return await read(database, _SEARCH, (_whole(actor),), ORDERS, window, _of, id_="t.id")


async def count(database: Database, actor: Actor) -> int:
    """How many are remembered."""
    return int(await database.fetchval(_COUNT, _whole(actor)))


async def one(database: Database | Connection, actor: Actor, id_: int) -> LoadTest | None:
    """One with its samples and its result."""
    row = await database.fetchrow(_ONE, _whole(actor), id_)
    return None if row is None else _of(row)


_OF_JOB = f"SELECT {_COLUMNS}, t.samples, t.result {_FROM} WHERE t.job_id = $1"


async def of_job(database: Database, job_id: int) -> LoadTest:
    """The one that a job runs."""
    row = await database.fetchrow(_OF_JOB, job_id)
    if row is None:
        raise Refused("NOT_FOUND")
    return _of(row)


_ADD = """
INSERT INTO load_test (job_id, scenario, rate, seconds, reason, node, begun_by) VALUES ($1, $2, $3, $4, $5, $6, $7)
RETURNING id
"""
_PRUNE = """
DELETE FROM load_test WHERE id <= (SELECT id FROM load_test ORDER BY id DESC OFFSET $1 LIMIT 1)
    AND state NOT IN ('waiting', 'running')
"""


async def add(connection: Connection, job_id: int, profile: Profile, reason: str, node: int, by: ActorLabel) -> int:
    """Enter one; its id."""
    await connection.execute(_PRUNE, KEPT - 1)
    id_: int = await connection.fetchval(
        _ADD, job_id, profile.scenario.value, profile.rate, profile.seconds, reason, node, by
    )
    return id_


_BEGIN = "UPDATE load_test SET state = 'running' WHERE job_id = $1 AND state = 'waiting' RETURNING id"
_SAMPLES = "UPDATE load_test SET samples = samples || $2::jsonb WHERE job_id = $1 AND state = 'running'"
_END = """
UPDATE load_test SET state = $2, error = $3, result = $4::jsonb, ended_at = now()
WHERE job_id = $1 AND state IN ('waiting', 'running')
"""


async def begin(database: Database, job_id: int) -> bool:
    """It runs now; false: it ran before, and nobody knows how that ended."""
    return await database.fetchval(_BEGIN, job_id) is not None


async def sample(database: Database, job_id: int, samples: Sequence[Sequence[float]]) -> None:
    """More points of its graph."""
    await database.execute(_SAMPLES, job_id, json.dumps(samples))


async def end(
    database: Database, job_id: int, state: State, error: str = "", result: Mapping[str, Any] | None = None
) -> None:
    """It is over."""
    await database.execute(_END, job_id, state.value, error, None if result is None else json.dumps(result))

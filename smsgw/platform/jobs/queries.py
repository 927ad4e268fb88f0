"""The statements of durable jobs. A run writes under its epoch: what comes from an earlier run does nothing."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from smsgw.core.actor import Actor, ActorLabel, Scope
from smsgw.core.permissions import Permission
from smsgw.platform.jobs.model import EXPIRED, Job, JobState, NewJob
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.store.engine.database import Connection, Database, Row

_ADD = """
INSERT INTO job (kind, params, subject, account_id, department_id, submitter, node, expires_at, not_before)
VALUES ($1, $2::jsonb, $3, $4, $5, $6, $7, clock_timestamp() + $8,
        CASE WHEN $9 THEN 'infinity' ELSE clock_timestamp() END)
ON CONFLICT (kind, subject) WHERE state IN ('waiting', 'running') AND subject <> '' DO NOTHING RETURNING id
"""


async def add(connection: Connection, job: NewJob) -> int | None:
    """Enter a job; its id, None when there is an unfinished one of its kind and subject."""
    id_: int | None = await connection.fetchval(
        _ADD, job.kind, _json(job.params), job.subject, job.account_id, job.department_id, job.submitter, job.node,
        job.lasts, job.held,
    )  # fmt: skip
    return id_


async def withdraw(connection: Connection, job_id: int) -> None:
    """Take back a job that this transaction has added."""
    await connection.execute("DELETE FROM job WHERE id = $1", job_id)


_LET_BEGIN = """
UPDATE job SET not_before = clock_timestamp(), expires_at = clock_timestamp() + $2, params = params || $3::jsonb
WHERE id = $1 AND state = 'waiting' AND not_before = 'infinity' RETURNING *
"""


async def let_begin(connection: Connection, job_id: int, lasts: timedelta, params: Mapping[str, Any]) -> Job | None:
    """A held job may begin now, with more parameters; None: it is not held."""
    row = await connection.fetchrow(_LET_BEGIN, job_id, lasts, _json(params))
    return None if row is None else _job(row)


_REFUSE = """
UPDATE job SET state = 'failed', error = $2, ended_at = clock_timestamp(), expires_at = clock_timestamp() + $3,
    params = params || $4::jsonb
WHERE id = $1 AND state = 'waiting' AND not_before = 'infinity' RETURNING *
"""


async def refuse(
    connection: Connection, job_id: int, error: str, kept: timedelta, params: Mapping[str, Any]
) -> Job | None:
    """A held job never begins; None: it is not held."""
    row = await connection.fetchrow(_REFUSE, job_id, error, kept, _json(params))
    return None if row is None else _job(row)


# --- running ---------------------------------------------------------------------------------------------------------

_ANY = """
SELECT FROM job WHERE state IN ('waiting', 'running')
    AND CASE state WHEN 'waiting' THEN not_before ELSE leased_until END <= clock_timestamp() LIMIT 1
"""
# One after the other: or two nodes would each count what the other begins as not begun.
_TAKE_TURNS = "SELECT pg_advisory_xact_lock(1784637026)"
_CLAIM = """
WITH next AS (
    SELECT j.id, j.state = 'running' AS crashed
    FROM job j JOIN unnest($2::text[], $3::int[], $6::bool[]) AS k(kind, per_owner, bound) ON k.kind = j.kind
    WHERE (j.node IS NULL OR j.node IN ($1, $5) OR NOT k.bound AND NOT EXISTS (
              SELECT FROM lease l WHERE l.resource = 'node/' || j.node AND l.expires_at > clock_timestamp()))
      AND (j.state = 'waiting' AND j.not_before <= clock_timestamp()
           OR j.state = 'running' AND j.leased_until < clock_timestamp())
      AND k.per_owner > (
          SELECT count(*) FROM job r
          WHERE r.state = 'running' AND r.kind = j.kind AND r.owner = j.owner AND r.id <> j.id)
    ORDER BY j.not_before, j.id LIMIT 1 FOR UPDATE OF j SKIP LOCKED
)
UPDATE job j SET state = 'running', runner = $1, epoch = j.epoch + 1, attempts = j.attempts + 1,
    crashes = j.crashes + next.crashed::int, leased_until = clock_timestamp() + $4,
    started_at = COALESCE(j.started_at, clock_timestamp())
FROM next WHERE j.id = next.id RETURNING j.*
"""


async def claim(
    database: Database, node: int, kinds: Mapping[str, int], lease: timedelta, *, home: int = 0,
    bound: Collection[str] = (),
) -> Job | None:  # fmt: skip
    """Take the next job of one of the kinds (with how many of one owner may run at a time): one that waits, or one
    whose runner has not prolonged its lease. One that is meant for a node which does not live is anybody's, but for the
    kinds that are ``bound``. ``home``: another node whose files are here."""
    if not await database.fetch(_ANY):  # as nearly always
        return None
    async with database.transaction() as connection:
        await connection.execute(_TAKE_TURNS)
        row = await connection.fetchrow(
            _CLAIM, node, list(kinds), list(kinds.values()), lease, home, [kind in bound for kind in kinds]
        )
    return None if row is None else _job(row)


_LET_GO = """
UPDATE job SET leased_until = '-infinity' WHERE state = 'running' AND runner = $1 RETURNING id
"""


async def let_go(database: Database, node: int) -> list[int]:
    """What an earlier process with this node's number has left running may be taken at once."""
    return [row["id"] for row in await database.fetch(_LET_GO, node)]


_RENEW = """
UPDATE job j SET leased_until = clock_timestamp() + $3
FROM unnest($1::bigint[], $2::bigint[]) AS held(id, epoch)
WHERE j.id = held.id AND j.epoch = held.epoch AND j.state = 'running'
RETURNING j.id, j.cancel_asked
"""


async def renew(database: Database, held: Sequence[tuple[int, int]], lease: timedelta) -> dict[int, bool]:
    """Prolong the leases of jobs, by id and epoch; those that are still ours, and whether they are to be cancelled."""
    rows = await database.fetch(_RENEW, [id_ for id_, _ in held], [epoch for _, epoch in held], lease)
    return {row["id"]: row["cancel_asked"] for row in rows}


_PROGRESS = """
UPDATE job SET done = $3, total = $4, checkpoint = COALESCE($5::jsonb, checkpoint)
WHERE id = $1 AND epoch = $2 AND state = 'running' RETURNING cancel_asked
"""


async def progress(
    connection: Connection | Database, id_: int, epoch: int, done: int, total: int, checkpoint: Mapping[str, Any] | None
) -> bool | None:
    """Write down how far a job is; whether it is to be cancelled, None when it is not ours any more."""
    asked: bool | None = await connection.fetchval(
        _PROGRESS, id_, epoch, done, total, None if checkpoint is None else _json(checkpoint)
    )
    return asked


_CHECKPOINT = "SELECT checkpoint FROM job WHERE id = $1 AND epoch = $2"


async def checkpoint(database: Database, job: Job) -> Mapping[str, Any] | None:
    """From where another run would go on; None when the job is not ours any more."""
    saved = await database.fetchval(_CHECKPOINT, job.id, job.epoch)
    return None if saved is None else dict(json.loads(saved))


_END = """
UPDATE job SET state = $3, error = $4, detail = $5::jsonb, ended_at = clock_timestamp(), leased_until = NULL,
    expires_at = clock_timestamp() + $6, done = COALESCE($7, done), total = COALESCE($8, total)
WHERE id = $1 AND epoch = $2 AND state = 'running' RETURNING id
"""


async def end(
    database: Database,
    job: Job,
    state: JobState,
    kept: timedelta,
    error: str = "",
    detail: Mapping[str, Any] | None = None,
    *,
    progress: tuple[int, int] | None = None,
) -> bool:
    """A run has come to the job's end, with its last ``progress`` (done, total) if it has told any; False when it is
    not ours any more."""
    done, total = progress or (None, None)
    return (
        await database.fetchval(_END, job.id, job.epoch, state, error, _json(detail or {}), kept, done, total)
    ) is not None


_PUT_BACK = """
UPDATE job SET state = 'waiting', leased_until = NULL, crashes = crashes + $4, error = $5,
    not_before = clock_timestamp() + $3
WHERE id = $1 AND epoch = $2 AND state = 'running'
"""


async def put_back(database: Database, job: Job, after: timedelta, *, crashed: bool, error: str) -> None:
    """Another run is to go on, after a while."""
    await database.execute(_PUT_BACK, job.id, job.epoch, after, int(crashed), error)


_EXPIRE = f"""
UPDATE job SET state = 'failed', error = '{EXPIRED}', ended_at = clock_timestamp(), leased_until = NULL,
    epoch = epoch + 1, expires_at = clock_timestamp() + $1
WHERE id IN (SELECT id FROM job WHERE state IN ('waiting', 'running') AND expires_at <= clock_timestamp()
             ORDER BY expires_at LIMIT 200 FOR UPDATE SKIP LOCKED) RETURNING *
"""  # noqa: S608 - a constant
_FORGET = """
DELETE FROM job WHERE id IN (
    SELECT id FROM job WHERE state NOT IN ('waiting', 'running') AND expires_at <= clock_timestamp() LIMIT 1000)
"""


async def expire(database: Database, kept: timedelta) -> list[Job]:
    """End what has had its time, and forget what ended long ago; what was ended."""
    await database.execute(_FORGET)
    return [_job(row) for row in await database.fetch(_EXPIRE, kept)]


# --- for people ------------------------------------------------------------------------------------------------------

_SCOPE = """
($1::bigint[] IS NULL OR account_id = ANY($1))
  AND ($2::bigint[] IS NULL OR department_id = ANY($2) OR account_id = ANY($1))
  AND ($3::text IS NULL OR submitter = $3)
"""
_PAGE = f"""
SELECT * FROM job WHERE {_SCOPE} AND ($4::text[] IS NULL OR state = ANY($4)) ORDER BY id DESC LIMIT $5
"""  # noqa: S608
_GET = f"SELECT * FROM job WHERE {_SCOPE} AND id = $4"  # noqa: S608


def _scope(scope: Scope) -> tuple[list[int] | None, list[int] | None, str | None]:
    return (
        None if scope.accounts is None else list(scope.accounts),
        None if scope.departments is None else list(scope.departments),
        scope.submitter,
    )


async def page(database: Database, scope: Scope, *, states: Sequence[str] | None = None, limit: int = 50) -> list[Job]:
    """Jobs that the scope lets see, newest first."""
    rows = await database.fetch(_PAGE, *_scope(scope), None if states is None else list(states), limit)
    return [_job(row) for row in rows]


async def get(database: Database, scope: Scope, id_: int) -> Job | None:
    """One job that the scope lets see."""
    row = await database.fetchrow(_GET, *_scope(scope), id_)
    return None if row is None else _job(row)


# What somebody has submitted is theirs to see, whatever their scope; the rest is seen by those whose scope has it, and
# who may see what others have under way.
_SEEN = """
(submitter = $1 OR $2 AND ($3::bigint[] IS NULL OR account_id = ANY($3))
  AND ($4::bigint[] IS NULL OR department_id = ANY($4) OR account_id = ANY($3))
  AND ($5::text IS NULL OR submitter = $5))
"""
_SEARCH = f"""
SELECT *, {{key}} AS _key FROM job WHERE {_SEEN}
  AND ($6::text IS NULL OR kind = $6) AND ($7::text IS NULL OR state = $7)
  AND ($8::text IS NULL OR submitter = $8)
  AND created_at >= $9 AND created_at < $10 AND {{where}} ORDER BY {{order}}
"""  # noqa: S608
_OWN = f"SELECT * FROM job WHERE {_SEEN} AND id = $6"  # noqa: S608
ORDERS = {"created_at": Order("created_at", "timestamptz"), "kind": Order("kind", "text")}


def _seen(actor: Actor) -> tuple[object, ...]:
    accounts, departments, submitter = _scope(actor.scope)
    others = actor.may(Permission.TASK_VIEW) or actor.may(Permission.JOB_EDIT)
    return (actor.label, others, accounts, departments, submitter)


async def search(
    database: Database,
    actor: Actor,
    window: Window,
    *,
    from_time: datetime,
    to_time: datetime,
    kind: str | None = None,
    state: str | None = None,
    submitter: ActorLabel | None = None,
) -> Slice[Job]:
    """The actor's own jobs, and those of others as far as the actor may see them."""
    asked = (*_seen(actor), kind, state, submitter, from_time, to_time)
    return await read(database, _SEARCH, asked, ORDERS, window, _job, id_="id")


async def own(database: Database | Connection, actor: Actor, id_: int) -> Job | None:
    """One job that is the actor's own, or that the actor may see."""
    row = await database.fetchrow(_OWN, *_seen(actor), id_)
    return None if row is None else _job(row)


_ABOUT = """
SELECT done, total FROM job WHERE kind = $1 AND subject = $2 AND state IN ('waiting', 'running')
"""


async def how_far(database: Database, kind: str, subject: str) -> tuple[int, int] | None:
    """How far the unfinished job about something is (done, total; 0, 0: not begun); None: there is none. For who may
    see what it is about."""
    row = await database.fetchrow(_ABOUT, kind, subject)
    return None if row is None else (row["done"], row["total"])


_CANCEL = """
UPDATE job SET cancel_asked = true,
    state = CASE WHEN state = 'waiting' THEN 'cancelled' ELSE state END,
    ended_at = CASE WHEN state = 'waiting' THEN clock_timestamp() END,
    expires_at = CASE WHEN state = 'waiting' THEN clock_timestamp() + $2 ELSE expires_at END
WHERE id = $1 AND state IN ('waiting', 'running') RETURNING *
"""


async def cancel(connection: Connection, id_: int, kept: timedelta) -> Job | None:
    """End a job that waits, ask the runner of one that runs; None when it has ended."""
    row = await connection.fetchrow(_CANCEL, id_, kept)
    return None if row is None else _job(row)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _job(row: Row) -> Job:
    values = {name: row[name] for name in Job.__dataclass_fields__}
    for name in ("params", "checkpoint", "detail"):
        values[name] = json.loads(values[name])
    values["state"] = JobState(values["state"])
    return Job(**values)

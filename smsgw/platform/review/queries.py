"""The statements that read what waits for a reviewer; ``accounts`` (None: all) is whose may be seen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from smsgw.core.tasks import Recipient, Task
from smsgw.platform.campaigns.body_template import wording_of
from smsgw.platform.drafts.model import Survey
from smsgw.platform.messages import codes
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.platform.review.model import Homed, Reviewed, Sample, WantedReviews
from smsgw.store.engine.database import Connection, Database
from smsgw.store.messages import tasks

_COLUMNS = f"""
r.batch_id, r.account_id, r.type, r.origin, r.submitter, r.reasons, r.numbers, r.parts,
{codes.without_sql("r")} AS content,
r.due_at, r.validity, r.expires_at, r.state, r.decided_by, r.decided_at, r.reason, r.created_at, r.task,
a.name AS account, COALESCE(t.sign, m.sign, '') AS sign, COALESCE(t.name, '') AS name, r.task_id,
COALESCE(t.submitter, r.submitter) AS owner, COALESCE(t.emergency, false) AS emergency,
COALESCE(t.message_kind, m.kind, '') AS kind
"""
_FROM = """
FROM review r JOIN account a ON a.id = r.account_id LEFT JOIN task t ON t.id = r.task_id
LEFT JOIN message m ON NOT r.task AND m.id = r.batch_id
"""
_PAGE = f"""
SELECT {_COLUMNS} {_FROM}
WHERE ($1 = '' OR r.state = $1) AND ($2::bigint[] IS NULL OR r.account_id = ANY($2))
  AND ($3::bigint IS NULL OR r.batch_id < $3)
ORDER BY r.batch_id DESC LIMIT $4
"""
_ONE = f"""
SELECT {_COLUMNS} {_FROM}
WHERE r.batch_id = $1 AND ($2::bigint[] IS NULL OR r.account_id = ANY($2))
"""
_SAMPLE = f"""
SELECT id, number, carrier, {codes.without_sql("message")} AS content, sign FROM message
WHERE batch_id = $1 AND id >= $1 AND id < $1 + 4096 ORDER BY id LIMIT $2
"""  # noqa: S608 - constant text
_HELD = "SELECT held, held_rows FROM task_finding WHERE task_id = $1"
_SURVEY = "SELECT survey FROM task_finding WHERE task_id = $1"


async def page(
    database: Database,
    *,
    state: str = "pending",
    accounts: Sequence[int] | None,
    before: int | None = None,
    limit: int = 100,
) -> list[Reviewed]:
    """What is in the state (empty: any), the newest first."""
    seen = None if accounts is None else list(accounts)
    return [Reviewed(*row.values()) for row in await database.fetch(_PAGE, state, seen, before, limit)]


_ORDERS = {"created_at": Order("r.batch_id", "bigint")}
_MATCHES = f"""
($1::bigint[] IS NULL OR r.account_id = ANY($1)) AND (r.state = 'pending') = $2
AND ($3::bigint IS NULL OR r.account_id = $3) AND ($4 = '' OR r.type = $4) AND ($5 = '' OR r.origin = $5)
AND ($6 = '' OR r.submitter = $6) AND ($7 = '' OR r.state = $7) AND ($8::bool IS NULL OR r.task = $8)
AND ($9 = '' OR strpos(r.content, $9) > 0 AND {codes.searchable_sql("r", "$9")}) AND ($10 = '' OR r.decided_by = $10)
"""
_KEPT = _COLUMNS.replace("{", "{{").replace("}", "}}")
_SEARCH = f"""
SELECT r.batch_id AS id, {{key}} AS _key, {_KEPT} {_FROM} WHERE {_MATCHES} AND {{where}} ORDER BY {{order}}
"""
_HOW_MANY = f"SELECT count(*) FROM (SELECT FROM review r WHERE {_MATCHES} LIMIT $11) f"  # noqa: S608


def _asked(accounts: Sequence[int] | None, wanted: WantedReviews) -> tuple[object, ...]:
    return (
        None if accounts is None else list(accounts), wanted.pending, wanted.account_id, wanted.type, wanted.origin,
        wanted.submitter or "", wanted.state, wanted.task, wanted.content, wanted.decided_by or "",
    )  # fmt: skip


async def search(
    database: Database, wanted: WantedReviews, window: Window, *, accounts: Sequence[int] | None
) -> Slice[Reviewed]:
    """A window of what waits, or has waited; the order ``created_at`` is that of the submission."""
    asked = _asked(accounts, wanted)
    return await read(
        database, _SEARCH, asked, _ORDERS, window, lambda row: Reviewed(*row[2:]), id_="r.batch_id", timeout=30
    )


async def how_many(database: Database, wanted: WantedReviews, most: int, *, accounts: Sequence[int] | None) -> int:
    """How many there are, counted up to one more than ``most``."""
    count: int = await database.fetchval(_HOW_MANY, *_asked(accounts, wanted), most + 1, timeout=30)
    return count


_WAITING = """
SELECT count(*) AS n, min(created_at) AS since FROM (
    SELECT created_at FROM review WHERE state = 'pending' AND ($1::bigint[] IS NULL OR account_id = ANY($1))
    ORDER BY batch_id LIMIT $2
) few
"""


async def waiting(
    database: Database, *, accounts: Sequence[int] | None, most: int = 10_000
) -> tuple[int, datetime | None]:
    """How many wait for a decision (not counted beyond ``most``), and since when the oldest does."""
    row = await database.fetchrow(_WAITING, None if accounts is None else list(accounts), most)
    return (0, None) if row is None else (row["n"], row["since"])


async def get(database: Database, batch_id: int, *, accounts: Sequence[int] | None) -> Reviewed | None:
    """One of them."""
    if not 0 < batch_id < 2**63:
        return None
    row = await database.fetchrow(_ONE, batch_id, None if accounts is None else list(accounts))
    return None if row is None else Reviewed(*row.values())


_OF_TASK = "SELECT batch_id FROM review WHERE task_id = $1 ORDER BY state = 'pending' DESC, created_at DESC LIMIT 1"


async def of_task(database: Database, task_id: int) -> int | None:
    """Under which id somebody is asked about a task, or was last."""
    found: int | None = await database.fetchval(_OF_TASK, task_id)
    return found


async def sample(database: Database | Connection, review: Reviewed, limit: int = 10) -> list[Sample]:
    """The first messages of the call; of a task what its first rows would be sent."""
    if review.task_id is None:
        return [Sample(*row.values()) for row in await database.fetch(_SAMPLE, review.batch_id, limit)]
    task = await tasks.get(database, review.task_id, accounts=None)
    return [] if task is None else _filled(task, await tasks.rows_after(database, task.id, 0, limit))


def _filled(task: Task, rows: Sequence[Recipient]) -> list[Sample]:
    text = wording_of(task)
    return [Sample(row.n, row.number, "", text.fill(row.values), task.sign) for row in rows]


async def held_rows(database: Database | Connection, task_id: int, limit: int = 20) -> tuple[int, list[Sample]]:
    """How many rows of a task have to be seen for their own values, and what the first of them would be sent."""
    found = await database.fetchrow(_HELD, task_id)
    task = await tasks.get(database, task_id, accounts=None) if found is not None and found["held"] else None
    if found is None or task is None:
        return 0, []
    return found["held"], _filled(task, await tasks.some_rows(database, task_id, found["held_rows"][:limit]))


async def survey(database: Database, task_id: int) -> Survey | None:
    """What was found about the rows of a task before it was made; None: nobody looked."""
    found = await database.fetchval(_SURVEY, task_id)
    return None if found is None else msgspec.json.decode(found, type=Survey)


_HOMES = """
SELECT carrier, province, count(*) AS numbers, sum(price)::bigint AS units FROM message
WHERE batch_id = $1 AND id >= $1 AND id < $1 + 4096 GROUP BY carrier, province
"""
_HEADS = """
SELECT left(number, 9) AS head, count(*) AS n
FROM (SELECT number FROM task_row WHERE task_id = $1 ORDER BY n LIMIT $2) r WHERE NOT starts_with(number, '#')
GROUP BY head
"""
MOST_SORTED = 200_000
"""Rows of a task that are sorted by their numbers for somebody who looks."""


async def homes(database: Database, review: Reviewed) -> list[Homed]:
    """How many numbers of a call each carrier has in each province, and what they cost."""
    return [Homed(*row.values()) for row in await database.fetch(_HOMES, review.batch_id)]


async def sorted_rows(database: Database, review: Reviewed) -> tuple[dict[str, int], list[tuple[str, int]]]:
    """Of a task that nobody had looked at before it was made: rows that get no message, by code, and the beginnings of
    the numbers of the others, each with how many there are."""
    task = None if review.task_id is None else await tasks.get(database, review.task_id, accounts=None)
    if task is None:
        return {}, []
    heads = await database.fetch(_HEADS, task.id, MOST_SORTED, timeout=10)
    return dict(task.problems), [(row["head"], row["n"]) for row in heads]


_LONGER = "SELECT count(*) FILTER (WHERE created_at <= $1), count(*) FROM review WHERE state = 'pending'"


async def waiting_longer(database: Database, now: datetime, minutes: int) -> tuple[int, int]:
    """How many of all that wait for a decision have waited so long, and how many wait."""
    row = await database.fetchrow(_LONGER, now - timedelta(minutes=minutes))
    return (0, 0) if row is None else (row[0], row[1])

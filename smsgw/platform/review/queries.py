"""The statements that read what waits for a reviewer; ``accounts`` (None: all) is whose may be seen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from smsgw.platform.login.model import CODE_SENDER
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.platform.review.model import Reviewed, Sample, WantedReviews
from smsgw.store.engine.database import Connection, Database

_NO_CODE = f"""
CASE WHEN {{0}}.submitter = '{CODE_SENDER}' THEN regexp_replace({{0}}.content, '[0-9]{{{{4,}}}}', '******', 'g')
     ELSE {{0}}.content END AS content
"""
"""A login code that is held must not let its reviewer in as somebody else."""
_COLUMNS = f"""
r.batch_id, r.account_id, r.type, r.origin, r.submitter, r.reasons, r.numbers, r.parts, {_NO_CODE.format("r")},
r.due_at, r.validity, r.expires_at, r.state, r.decided_by, r.decided_at, r.reason, r.created_at, r.task,
a.name AS account, COALESCE(t.sign, m.sign, '') AS sign, COALESCE(t.name, '') AS name, r.task_id,
COALESCE(t.submitter, r.submitter) AS owner, COALESCE(t.emergency, false) AS emergency
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
SELECT id, number, carrier, {_NO_CODE.format("message")}, sign FROM message
WHERE batch_id = $1 AND id >= $1 AND id < $1 + 4096 ORDER BY id LIMIT $2
"""  # noqa: S608 - constant text
_FIRST_ROWS = """
SELECT n AS id, number, '' AS carrier, array_to_string(vals, ' ') AS content, '' AS sign FROM task_row
WHERE task_id = $1 ORDER BY n LIMIT $2
"""


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
_MATCHES = """
($1::bigint[] IS NULL OR r.account_id = ANY($1)) AND (r.state = 'pending') = $2
AND ($3::bigint IS NULL OR r.account_id = $3) AND ($4 = '' OR r.type = $4) AND ($5 = '' OR r.origin = $5)
AND ($6 = '' OR r.submitter = $6) AND ($7 = '' OR r.state = $7) AND ($8::bool IS NULL OR r.task = $8)
AND ($9 = '' OR strpos(r.content, $9) > 0) AND ($10 = '' OR r.decided_by = $10)
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


async def how_many(
    database: Database, wanted: WantedReviews, most: int, *, accounts: Sequence[int] | None
) -> int:
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
    """The first messages of the call; of a task its first rows with their values."""
    rows = await database.fetch(_FIRST_ROWS if review.task else _SAMPLE, review.task_id or review.batch_id, limit)
    return [Sample(*row.values()) for row in rows]


_CARRIERS = """
SELECT carrier, count(*) AS n FROM message WHERE batch_id = $1 AND id >= $1 AND id < $1 + 4096
GROUP BY carrier ORDER BY n DESC, carrier
"""


async def carriers(database: Database, review: Reviewed) -> list[tuple[str, int]]:
    """How many numbers of the call each carrier has; nothing of a task, whose numbers have none yet."""
    rows = [] if review.task else await database.fetch(_CARRIERS, review.batch_id)
    return [(row["carrier"], row["n"]) for row in rows]

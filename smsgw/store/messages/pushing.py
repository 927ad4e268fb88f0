"""Events on their way to webhooks: what is due, what became of it, what was given up, and offering it again.

One node pushes an endpoint (lease ``push/ID``), so a claim writes nothing: what is under way is in that node's memory.
What became of it is written in a group commit.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from smsgw.core.errors import SmsgwError
from smsgw.core.queue_cursors import Stretch
from smsgw.core.webhooks import REPORT, WAITING_COUNTED
from smsgw.store.engine.cte_batch import enter
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.messages.events import EVERYWHERE, Found, render


@dataclass(frozen=True, slots=True)
class Due:
    """An event that can be pushed now."""

    id: int
    kind: str
    message_id: int
    tries: int
    """Failed tries so far."""
    target: str | None
    """``callback_url`` of its message."""
    item: dict[str, object]


# An event waits for the earlier ones of its message: those under way ($5) and those that wait for their next try.
_DUE = """
WITH held AS MATERIALIZED (
    SELECT message_id FROM customer_event
    WHERE account_id = $1 AND leased_until > $4 AND acknowledged_at IS NULL
)
SELECT * FROM customer_event
WHERE account_id = $1 AND kind = $2 AND acknowledged_at IS NULL AND (leased_until IS NULL OR leased_until <= $4)
  AND message_id <> ALL($5::bigint[]) AND message_id NOT IN (SELECT message_id FROM held)
  AND NOT test AND id >= $6 AND id <= $7 AND {which}
ORDER BY id LIMIT $3
"""
_OWN = _DUE.format(which="(way IS NULL OR way = 'webhook') AND target IS NULL")
_PUT_THERE = _DUE.format(which="way = 'webhook' AND target IS NULL")
_TARGETS = _DUE.format(
    which="target IS NOT NULL AND (way IS NULL OR way = 'webhook') AND split_part(target, '/', 3) <> ALL($8::text[])"
)
_GONE = "UPDATE customer_event SET acknowledged_at = $2 WHERE id = ANY($1::bigint[]) AND acknowledged_at IS NULL"


async def claim(
    database: Database,
    account_id: int,
    kind: str,
    limit: int,
    *,
    now: datetime,
    primary: bool,
    under_way: Sequence[int],
    within: Stretch = EVERYWHERE,
) -> Found[Due]:
    """The oldest events of the kind that can be pushed. ``under_way``: messages whose events are just being pushed.

    ``primary``: webhook is the account's way; otherwise only what was put there for redelivery.
    """
    async with database.acquire() as connection:
        begun = time.monotonic()
        rows = await connection.fetch(
            _OWN if primary else _PUT_THERE, account_id, kind, limit, now, list(under_way), within.first, within.last
        )
        return await _due(connection, kind, rows, now, time.monotonic() - begun)


async def claim_targets(
    database: Database,
    account_id: int,
    limit: int,
    *,
    now: datetime,
    under_way: Sequence[int],
    busy: Sequence[str],
    within: Stretch = EVERYWHERE,
) -> Found[Due]:
    """The same for reports that go to their message's own address, but to none of these hosts (with ports)."""
    async with database.acquire() as connection:
        begun = time.monotonic()
        rows = await connection.fetch(
            _TARGETS, account_id, REPORT, limit, now, list(under_way), within.first, within.last, list(busy)
        )
        return await _due(connection, REPORT, rows, now, time.monotonic() - begun)


async def _due(connection: Connection, kind: str, rows: list[Row], now: datetime, seconds: float) -> Found[Due]:
    if not rows:
        return Found(seconds=seconds)
    items = await render(connection, kind, rows)
    gone = [row["id"] for row, item in zip(rows, items, strict=True) if item is None]
    if gone:  # its message is past its retention: there is nothing to tell any more
        await connection.execute(_GONE, gone, now)
    due = [
        Due(row["id"], kind, row["message_id"], row["attempts"], row["target"], item)
        for row, item in zip(rows, items, strict=True)
        if item is not None
    ]
    return Found(due, [row["id"] for row in rows], seconds)


# --- what became of it ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tried:
    """An event whose push has failed. Without ``next_at`` it is dead."""

    id: int
    tries: int
    next_at: datetime | None
    problem: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call that failed, or the sum of those that succeeded lately."""

    id: int
    webhook_id: int
    at: datetime
    calls: int
    events: int
    first_event: int
    status: int
    """HTTP; 0: no answer."""
    ms: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """What the pushing node says of an endpoint."""

    webhook_id: int
    failing_since: datetime | None
    last_error: str
    last_ok_at: datetime | None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a call."""

    at: datetime
    done: tuple[int, ...] = ()
    tried: tuple[Tried, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    said: Said | None = None


_DONE = """
UPDATE customer_event SET acknowledged_at = $2, done_by = 'webhook'
WHERE id = ANY($1::bigint[]) AND id >= $3 AND id <= $4 AND acknowledged_at IS NULL
"""

_TRIED = """
UPDATE customer_event e SET attempts = t.tries, problem = t.problem, leased_until = t.next_at,
    acknowledged_at = CASE WHEN t.next_at IS NULL THEN $5::timestamptz END,
    dead_at = CASE WHEN t.next_at IS NULL THEN $5::timestamptz END
FROM unnest($1::bigint[], $2::smallint[], $3::timestamptz[], $4::text[]) AS t(id, tries, next_at, problem)
WHERE e.id = t.id AND e.id >= $6 AND e.id <= $7 AND e.acknowledged_at IS NULL
"""

ATTEMPT_TYPES = {
    "id": "bigint", "webhook_id": "bigint", "at": "timestamptz", "calls": "int", "events": "int",
    "first_event": "bigint", "status": "smallint", "ms": "int", "error": "text",
}  # fmt: skip

_SAID = """
UPDATE webhook w SET last_error = s.last_error,
    failing_since = CASE WHEN s.failing_since IS NOT NULL THEN LEAST(s.failing_since, w.failing_since) END,
    last_ok_at = COALESCE(s.last_ok_at, w.last_ok_at)
FROM unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::timestamptz[])
     AS s(id, failing_since, last_error, last_ok_at)
WHERE w.id = s.id
"""

_PRESENT = "SELECT id FROM webhook_attempt WHERE id = ANY($1::bigint[])"


async def commit(connection: Connection, results: list[Result], again: bool) -> list[int | SmsgwError]:
    """Write down what became of calls; a repeat changes nothing."""
    at = max(r.at for r in results)
    done = sorted(i for r in results for i in r.done)
    if done:
        await connection.execute(_DONE, done, at, done[0], done[-1])
    tried = sorted((t for r in results for t in r.tried), key=lambda t: t.id)
    if tried:
        await connection.execute(
            _TRIED,
            [t.id for t in tried],
            [t.tries for t in tried],
            [t.next_at for t in tried],
            [t.problem for t in tried],
            at,
            tried[0].id,
            tried[-1].id,
        )
    attempts = {a.id: a for r in results for a in r.attempts}
    if attempts and again:
        for row in await connection.fetch(_PRESENT, list(attempts)):
            del attempts[row["id"]]
    if attempts:
        made = [tuple(getattr(a, name) for name in ATTEMPT_TYPES) for a in attempts.values()]
        await enter(connection, "webhook_attempt", ATTEMPT_TYPES, made)
    said = {r.said.webhook_id: r.said for r in results if r.said is not None}
    if said:
        last = [said[key] for key in sorted(said)]
        await connection.execute(
            _SAID,
            [s.webhook_id for s in last],
            [s.failing_since for s in last],
            [s.last_error[:200] for s in last],
            [s.last_ok_at for s in last],
        )
    return [len(r.done) + len(r.tried) for r in results]


# Only what was tried: a puller's lease is not a pause.
_FORWARD = """
UPDATE customer_event SET leased_until = NULL
WHERE account_id = $1 AND kind = ANY($2::text[]) AND acknowledged_at IS NULL AND leased_until > $3 AND attempts > 0
  AND (target IS NOT NULL) = $4 AND ($5::text IS NULL OR split_part(target, '/', 3) = $5)
"""


async def bring_forward(
    database: Database, account_id: int, kinds: Sequence[str], host: str | None, now: datetime
) -> int:
    """The receiver answers again: what waits for its next try is due at once. ``host``: of a ``callback_url``."""
    tag = await database.execute(_FORWARD, account_id, list(kinds), now, host is not None, host, timeout=30)
    return int(tag.rpartition(" ")[2])


# --- what waits -------------------------------------------------------------------------------------------------

_READY = """
SELECT w.n FROM unnest($1::bigint[], $2::text[], $4::bigint[]) WITH ORDINALITY AS w(account_id, kind, since, n)
WHERE EXISTS (
    SELECT 1 FROM customer_event e
    WHERE e.account_id = w.account_id AND e.kind = w.kind AND e.acknowledged_at IS NULL AND e.id >= w.since
      AND (e.leased_until IS NULL OR e.leased_until <= $3) AND NOT e.test AND {which}
)
"""
_READY_OWN = _READY.format(which="(e.way IS NULL OR e.way = 'webhook') AND e.target IS NULL")
_READY_PUT_THERE = _READY.format(which="e.way = 'webhook' AND e.target IS NULL")
_READY_TARGETS = _READY.format(which="e.target IS NOT NULL AND (e.way IS NULL OR e.way = 'webhook')")


@dataclass(frozen=True, slots=True)
class Question:
    """Whether an endpoint has something of a kind to push."""

    account_id: int
    kind: str
    primary: bool
    callback: bool


async def ready(database: Database, questions: Mapping[Question, int], now: datetime) -> set[Question]:
    """Those to which the answer is yes; of each, from which id on to look."""
    found: set[Question] = set()
    for sql, asked in (
        (_READY_OWN, [q for q in questions if q.primary and not q.callback]),
        (_READY_PUT_THERE, [q for q in questions if not q.primary and not q.callback]),
        (_READY_TARGETS, [q for q in questions if q.callback]),
    ):
        if asked:
            rows = await database.fetch(
                sql, [q.account_id for q in asked], [q.kind for q in asked], now, [questions[q] for q in asked]
            )
            found.update(asked[row["n"] - 1] for row in rows)
    return found


# One statement for all endpoints, whichever nodes push to them. Of each kind so many events are looked at, oldest
# first, and what does not go to the endpoint is left out after: an account that pulls may have millions that do not.
_WAITING = """
SELECT COALESCE(sum(w.n), 0)::bigint AS n, min(w.oldest) AS oldest, COALESCE(bool_or(w.looked >= $5), false) AS more
FROM unnest($1::bigint[], $2::text[], $3::bool[], $4::bool[]) q (account_id, kind, callback, ours), LATERAL (
    SELECT count(*) AS looked, count(*) FILTER (WHERE few.waits) AS n, min(few.id) FILTER (WHERE few.waits) AS oldest
    FROM (
        (SELECT e.id, e.target IS NULL AND NOT e.test AND (e.way IS NULL OR e.way = 'webhook') AS waits
         FROM customer_event e
         WHERE NOT q.callback AND q.ours
           AND e.account_id = q.account_id AND e.kind = q.kind AND e.acknowledged_at IS NULL
         ORDER BY e.id LIMIT $5)
        UNION ALL
        (SELECT e.id, e.target IS NULL AND NOT e.test AND e.way = 'webhook' FROM customer_event e
         WHERE NOT q.callback AND NOT q.ours
           AND e.account_id = q.account_id AND e.kind = q.kind AND e.way IS NOT NULL AND e.acknowledged_at IS NULL
         ORDER BY e.id LIMIT $5)
        UNION ALL
        (SELECT e.id, e.kind = q.kind AND NOT e.test AND (e.way IS NULL OR e.way = 'webhook') FROM customer_event e
         WHERE q.callback AND e.account_id = q.account_id AND e.target IS NOT NULL AND e.acknowledged_at IS NULL
         ORDER BY e.id LIMIT $5)
    ) few
) w
"""
Pushed = tuple[int, Sequence[str], bool, bool]
"""Account, kinds, whether it is the callback, and whether the account's events are its own."""


async def waiting(
    database: Database, endpoints: Sequence[Pushed], most: int = WAITING_COUNTED
) -> tuple[int, int | None, bool]:
    """How many events wait for these endpoints, the id of the oldest, and whether there may be more: of each kind of
    each endpoint at most so many were looked at."""
    asked = [(account_id, kind, *rest) for account_id, kinds, *rest in endpoints for kind in kinds]
    row = await database.fetchrow(
        _WAITING, [q[0] for q in asked], [q[1] for q in asked], [q[2] for q in asked], [q[3] for q in asked], most
    )
    return (0, None, False) if row is None else (row["n"], row["oldest"], row["more"])


# --- what was given up ------------------------------------------------------------------------------------------

_DEAD = """
SELECT a.name AS account, e.account_id, e.kind, e.target IS NOT NULL AS callback, count(*) AS n, max(e.dead_at) AS last
FROM customer_event e JOIN account a ON a.id = e.account_id WHERE e.dead_at IS NOT NULL
GROUP BY a.name, e.account_id, e.kind, callback
"""


async def dead(database: Database) -> list[Row]:
    """Events given up and not offered again since: account, account_id, kind, callback, n, last."""
    return await database.fetch(_DEAD)


_FAILING = """
SELECT w.id, a.name AS account, w.name, w.status, w.reason, w.failing_since, w.last_error
FROM webhook w JOIN account a ON a.id = w.account_id
WHERE w.failing_since < $1 OR (w.status = 'disabled' AND w.reason <> '')
"""


async def failing(database: Database, since: datetime) -> list[Row]:
    """Endpoints that have failed without a break since before that, or that their receiver has switched off."""
    return await database.fetch(_FAILING, since)


_LOST = """
SELECT a.name AS account, l.kind, sum(l.n)::bigint AS n FROM event_lost l JOIN account a ON a.id = l.account_id
JOIN event_setting s ON s.account_id = l.account_id AND s.way <> 'pull'
WHERE l.counted_at > $1 GROUP BY a.name, l.kind
"""


async def lost(database: Database, since: datetime) -> list[Row]:
    """Events whose time was over before they were delivered, of accounts that do not pull: account, kind, n."""
    return await database.fetch(_LOST, since)

"""Counts and refused calls, written down and read; ``accounts`` (None: all) is who may be seen, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from smsgw.platform.calls.log import Cells, Refusal
from smsgw.platform.listing import Listing, of_accounts
from smsgw.platform.paging import Order, Slice, Window
from smsgw.store.engine.database import Database, Row

KEPT = timedelta(days=3)
"""Counts; refused calls as well, and of those the newest of each key."""
NEWEST = 50

_COUNTED = """
INSERT INTO api_call AS c (account_id, minute, key_id, call, code, n, ms_sum, ms_most, last_request)
SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::int[], $7::bigint[],
                     $8::int[], $9::text[])
ON CONFLICT (account_id, minute, key_id, call, code) DO UPDATE SET n = c.n + excluded.n,
    ms_sum = c.ms_sum + excluded.ms_sum, ms_most = GREATEST(c.ms_most, excluded.ms_most),
    last_request = excluded.last_request
"""
_REFUSED = """
INSERT INTO api_refused (account_id, key_id, proven, at, request_id, call, status, code, detail, detail_en, ms, address,
                         body)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::bool[], $4::timestamptz[], $5::text[], $6::text[], $7::smallint[],
                     $8::text[], $9::text[], $10::text[], $11::int[], $12::text[], $13::text[])
"""
_RING = """
DELETE FROM api_refused r USING unnest($1::text[], $2::bool[]) AS k(key_id, proven)
WHERE r.key_id = k.key_id AND r.proven = k.proven AND r.id <= (
    SELECT id FROM api_refused o WHERE o.key_id = k.key_id AND o.proven = k.proven ORDER BY id DESC OFFSET $3 LIMIT 1)
"""
_REFUSED_COLUMNS = (
    "account_id", "key_id", "proven", "at", "request_id", "call", "status", "code", "detail", "detail_en",
    "ms", "address", "body",
)  # fmt: skip


async def write(database: Database, cells: Cells, refused: Sequence[Refusal]) -> None:
    """What an edge has remembered, in one transaction; in the order of keys, so that nodes do not wait in a circle."""
    async with database.transaction() as connection:
        if cells:
            rows = [
                (account, datetime.fromtimestamp(minute * 60, UTC), key, call, code, c.n, c.ms, c.most, c.last)
                for (account, key, minute, call, code), c in sorted(cells.items(), key=lambda item: item[0])
            ]
            await connection.execute(_COUNTED, *map(list, zip(*rows, strict=True)))
        if refused:
            columns = [[getattr(one, name) for one in refused] for name in _REFUSED_COLUMNS]
            await connection.execute(_REFUSED, *columns)
            keys = sorted({(one.key_id, one.proven) for one in refused})
            await connection.execute(_RING, *map(list, zip(*keys, strict=True)), NEWEST)


_OVER = ("DELETE FROM api_call WHERE minute < $1", "DELETE FROM api_refused WHERE at < $1")


async def forget(database: Database, now: datetime) -> None:
    """What has had its time."""
    for statement in _OVER:
        await database.execute(statement, now - KEPT, timeout=60)


# --- read ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WantedCalls:
    """From a time until before another; what is empty narrows nothing."""

    first: datetime
    until: datetime
    account_id: int | None = None
    key_id: str = ""
    code: str = ""


_WHERE = """
WHERE minute >= $1 AND minute < $2 AND ($3::bigint[] IS NULL OR c.account_id = ANY($3))
  AND ($4::bigint IS NULL OR c.account_id = $4) AND ($5 = '' OR c.key_id = $5) AND ($6 = '' OR c.code = $6)
  AND c.account_id <> 0
"""
_GROUP = "a.name, c.key_id, c.call, c.code"
_GROUPS = f"""
SELECT a.name AS account, c.key_id, c.call, c.code, sum(n)::bigint AS n, sum(ms_sum)::float8 / sum(n) AS ms,
       max(ms_most) AS ms_most, max(minute) AS last_at,
       (array_agg(last_request ORDER BY minute DESC))[1] AS last_request
FROM api_call c JOIN account a ON a.id = c.account_id {_WHERE}
GROUP BY {_GROUP} ORDER BY n {{way}}, key_id, call, code LIMIT $7 OFFSET $8
"""  # noqa: S608 - constants
_TOTAL = f"""
SELECT COALESCE(sum(n), 0)::bigint AS n, count(*) AS groups FROM (
    SELECT sum(n) AS n FROM api_call c JOIN account a ON a.id = c.account_id {_WHERE} GROUP BY {_GROUP}) g
"""  # noqa: S608 - constants
_STEPS = f"""
SELECT date_bin($7::interval, minute, $1) AS at, c.code, sum(n)::bigint AS n FROM api_call c {_WHERE}
GROUP BY 1, 2 ORDER BY 1
"""  # noqa: S608 - constants


def _asked(wanted: WantedCalls, accounts: Sequence[int] | None) -> tuple[object, ...]:
    seen = None if accounts is None else list(accounts)
    return wanted.first, wanted.until, seen, wanted.account_id, wanted.key_id, wanted.code


async def groups(
    database: Database, wanted: WantedCalls, window: Window, *, accounts: Sequence[int] | None
) -> Slice[tuple[int, Row]]:
    """Calls by account, key, call and code: how many, how long they took, and the last one, each with its place among
    the most frequent, or the rarest. Counted anew for each window: pages begin by nothing but places."""
    place = window.after[1] if window.after is not None else -1
    first = max(place - window.limit, 0) if window.backwards else place + 1
    most = place - first if window.backwards else window.limit
    statement = _GROUPS.format(way="DESC" if window.descending else "ASC")
    rows = await database.fetch(statement, *_asked(wanted, accounts), most + 1, first)
    more = first > 0 if window.backwards else len(rows) > most
    placed = list(enumerate(rows[:most], first))
    return Slice(placed, [("", n) for n, _ in placed], more)


async def total(database: Database, wanted: WantedCalls, *, accounts: Sequence[int] | None) -> tuple[int, int]:
    """How many calls there are, and in how many groups."""
    row = await database.fetchrow(_TOTAL, *_asked(wanted, accounts))
    return (row["n"], row["groups"]) if row is not None else (0, 0)


async def steps(
    database: Database, wanted: WantedCalls, step: timedelta, *, accounts: Sequence[int] | None
) -> list[Row]:
    """Calls by steps of time and code."""
    return await database.fetch(_STEPS, *_asked(wanted, accounts), step)


@dataclass(frozen=True, slots=True)
class ListedRefusal(Refusal):
    """A refused call that was written down."""

    id: int
    account: Annotated[str, "a.name"]


@dataclass(frozen=True, slots=True)
class RefusalFilter:
    """Which refused calls are looked for."""

    since: Annotated[datetime | None, "r.at >= {value}"] = None
    until: Annotated[datetime | None, "r.at < {value}"] = None
    account: Annotated[int | None, "r.account_id = {value}"] = None
    key_id: Annotated[str, "r.key_id = {value}"] = ""
    answer_code: Annotated[str, "r.code = upper({value})"] = ""


REFUSALS = Listing(
    ListedRefusal,
    RefusalFilter,
    "api_refused r JOIN account a ON a.id = r.account_id",
    seen=of_accounts("r.account_id"),
    orders={"time": Order("r.id", "bigint")},
)

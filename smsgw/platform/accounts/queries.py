"""The statements that read accounts, money and use; ``accounts`` None means all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from smsgw.core.accounts import resolve
from smsgw.core.errors import Invalid
from smsgw.core.words import phrase
from smsgw.platform.accounts.model import USAGE_DIMENSIONS, AccountView, Balance, Runway, UsageLine
from smsgw.platform.accounts.prices import PRICED
from smsgw.store.config.accounts import account_of
from smsgw.store.engine.database import Database, Row

# Those above are read as well: limits of theirs hold for the account.
_LIST = """
WITH RECURSIVE line(id, parent_id) AS (
    SELECT id, parent_id FROM account WHERE $1::bigint[] IS NULL OR id = ANY($1)
    UNION SELECT a.id, a.parent_id FROM account a JOIN line l ON a.id = l.parent_id
)
SELECT a.*, $1::bigint[] IS NULL OR a.id = ANY($1) AS seen FROM account a JOIN line l ON l.id = a.id ORDER BY a.name
"""


async def accounts(database: Database, seen: Sequence[int] | None = None) -> list[AccountView]:
    """The accounts (None: all) by name, with what follows from those above them."""
    rows = await database.fetch(_LIST, None if seen is None else list(seen))
    resolved = {a.id: a for a in resolve(account_of(row) for row in rows)}
    return [AccountView(resolved[row["id"]], row["balance"], row["created_at"]) for row in rows if row["seen"]]


_ID = "SELECT id FROM account WHERE name = $1 AND ($2::bigint[] IS NULL OR id = ANY($2))"


async def id_of(database: Database, name: str, seen: Sequence[int] | None = None) -> int:
    """The account of that name. ``NOT_FOUND``."""
    found: int | None = await database.fetchval(_ID, name, None if seen is None else list(seen))
    if found is None:
        raise Invalid("NOT_FOUND")
    return found


_BALANCE = "SELECT balance, credit_floor FROM account WHERE id = $1"


async def balance(database: Database, account_id: int) -> Balance | None:
    """The money of an account."""
    row = await database.fetchrow(_BALANCE, account_id)
    return None if row is None else Balance(row["balance"], row["credit_floor"])


_QUOTA_USED = """
SELECT COALESCE(sum(parts) FILTER (WHERE day = t.today), 0)::bigint, COALESCE(sum(parts), 0)::bigint
FROM (SELECT (now() AT TIME ZONE 'Asia/Shanghai')::date AS today) t, quota_used
WHERE account_id = $1 AND day BETWEEN date_trunc('month', t.today)::date AND t.today
"""


async def quota_used(database: Database, account_id: int) -> tuple[int, int]:
    """Parts accepted today and this month (in China), of the account and all below it."""
    row = await database.fetchrow(_QUOTA_USED, account_id)
    return (0, 0) if row is None else (row[0], row[1])


_RUNWAY = """
SELECT a.id, a.name, a.balance - a.credit_floor AS available,
       LEAST($3::int, GREATEST(1, $2::date - (a.created_at AT TIME ZONE 'Asia/Shanghai')::date)) AS over,
       COALESCE((SELECT sum(u.units - u.refunded) FROM usage_day u
                 WHERE u.account_id = a.id AND u.day >= $2::date - $3::int AND u.day < $2), 0)::bigint AS used
FROM account a WHERE a.id > 0 AND a.status = 'active' AND ($1::bigint[] IS NULL OR a.id = ANY($1))
ORDER BY a.name
"""
RUNWAY_DAYS = 7
"""Whole days before today whose use says how long a balance lasts."""


async def runways(database: Database, *, seen: Sequence[int] | None, today: date) -> list[Runway]:
    """What the active accounts can spend, and for how long by what they have used lately; those that end first come
    first, those of which nothing can be told last."""
    rows = await database.fetch(_RUNWAY, None if seen is None else list(seen), today, RUNWAY_DAYS)
    found = [Runway(row["id"], row["name"], row["available"], row["used"], row["over"]) for row in rows]
    return sorted(found, key=lambda r: (r.days is None, r.days or 0, r.name))


# --- use -------------------------------------------------------------------------------------------------------------

MAX_USAGE_LINES = 10_000
MAX_USAGE_DAYS = 366

_DIMENSIONS: Mapping[str, str] = dict(
    zip(USAGE_DIMENSIONS, ("u.day", "a.name", "a.department", "u.submitter", "u.type"), strict=True)
)
_USAGE = """
SELECT {keys} sum(u.messages)::bigint AS messages, sum(u.parts)::bigint AS parts, sum(u.units)::bigint AS units,
       sum(u.refunded)::bigint AS refunded, sum((u.units - u.refunded) * u.price) AS amount
FROM {priced} u JOIN account a ON a.id = u.account_id
WHERE u.account_id = ANY($3::bigint[])
{group} LIMIT $4
"""


async def usage(
    database: Database, *, first: date, last: date, group: Sequence[str], accounts: Sequence[int]
) -> list[UsageLine]:
    """The use of the accounts from day ``first`` to day ``last``, in groups; at most ``MAX_USAGE_LINES``.

    ``PARAM_INVALID`` for groups that there are not, and for more than ``MAX_USAGE_DAYS``.
    """
    if unknown := [name for name in group if name not in _DIMENSIONS]:
        reason = phrase("group.unknown", name=unknown[0], known=", ".join(_DIMENSIONS))
        raise Invalid("PARAM_INVALID", field="group", reason=reason)
    if not timedelta(0) <= last - first < timedelta(days=MAX_USAGE_DAYS):
        raise Invalid("PARAM_INVALID", field="to_day", reason=phrase("span.days", days=MAX_USAGE_DAYS))
    names = list(dict.fromkeys(group))
    by = ", ".join(str(n) for n in range(1, len(names) + 1))
    query = _USAGE.format(
        priced=PRICED,
        keys="".join(f"{_DIMENSIONS[name]} AS {name}_, " for name in names),
        group=f"GROUP BY {by} ORDER BY {by}",
    )
    rows = await database.fetch(query, first, last, list(accounts), MAX_USAGE_LINES)
    return [
        UsageLine(
            {name: row[f"{name}_"] for name in names},
            row["messages"],
            row["parts"],
            row["units"],
            row["refunded"],
            row["amount"],
        )
        for row in rows
    ]


# --- numbers that the phones see -------------------------------------------------------------------------------------

_CODES = """
SELECT kind, name, sign, code, until FROM (
    SELECT 'channel' AS kind, c.name, '' AS sign, c.access_code AS code, NULL::timestamptz AS until,
           NULL::bigint AS account_id
    FROM channel c WHERE c.removed_at IS NULL AND c.access_code <> ''
    UNION ALL SELECT 'account', a.name, '', a.extend_code, NULL, a.id FROM account a WHERE a.extend_code <> ''
    UNION ALL SELECT 'sign', a.name, s.sign, s.extend_code, NULL, a.id
    FROM sign_code s JOIN account a ON a.id = s.account_id
    UNION ALL SELECT CASE WHEN o.channel_id IS NULL THEN 'former extension' ELSE 'former access code' END,
                     COALESCE(c.name, a.name), o.sign, o.code, o.until, o.account_id
    FROM old_code o LEFT JOIN channel c ON c.id = o.channel_id LEFT JOIN account a ON a.id = o.account_id
    WHERE o.until > now()
) codes
WHERE $1::bigint[] IS NULL OR account_id = ANY($1)
ORDER BY until NULLS FIRST, kind, name, sign
"""


async def codes(database: Database, seen: Sequence[int] | None = None) -> list[Row]:
    """Access codes and extensions in use, then the former ones with the time until which replies to them are matched:
    kind, name, sign, code, until. Of channels only for whoever sees all."""
    return await database.fetch(_CODES, None if seen is None else list(seen))

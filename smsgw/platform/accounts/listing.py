"""Accounts as lists show them: a tree as far as one sees it, what each has, and what a change of some would do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from smsgw.platform.paging import Order, Slice, Window, as_it_is, read
from smsgw.store.engine.database import Database, Row
from smsgw.store.engine.states import by_name

MOST_WAITING = 100_000
"""Messages beyond which nobody counts on."""
DAYS = 30
"""Whose use is shown beside a price, and whose channels beside an account."""


@dataclass(frozen=True, slots=True)
class WantedAccounts:
    """Which accounts are looked for; what is empty narrows nothing."""

    name: str = ""
    """Part of its code or of what it is called."""
    department_id: int | None = None
    status: str = ""
    """``active``, ``stopped``, or ``halted``: below one that is."""
    parent_id: int | None = None
    protocol: str = ""


# Whoever sees an account and not the one above it sees it at the top. A department is that of the nearest above.
_TREE = """
WITH RECURSIVE seen AS MATERIALIZED (
    SELECT id, parent_id, name FROM account WHERE id > 0 AND ($1::bigint[] IS NULL OR id = ANY($1))
),
tree(id, path) AS (
    SELECT s.id, s.name::text FROM seen s WHERE NOT EXISTS (SELECT FROM seen p WHERE p.id = s.parent_id)
    UNION ALL SELECT s.id, t.path || ' / ' || s.name FROM seen s JOIN tree t ON s.parent_id = t.id
),
home(id, department_id) AS (
    SELECT id, department_id FROM account WHERE parent_id IS NULL
    UNION ALL
    SELECT a.id, COALESCE(a.department_id, h.department_id) FROM account a JOIN home h ON a.parent_id = h.id
),
found AS (
    SELECT a.*, t.path, p.name AS parent, COALESCE(d.name, a.department) AS department_name, q.parts AS used_day,
           CASE WHEN a.status = 'stopped' THEN 'stopped' WHEN a.halted THEN 'halted' ELSE 'active' END AS standing,
           h.department_id AS home_id
    FROM tree t JOIN account a ON a.id = t.id JOIN home h ON h.id = a.id
    LEFT JOIN seen p ON p.id = a.parent_id LEFT JOIN department d ON d.id = h.department_id
    LEFT JOIN quota_used q ON q.account_id = a.id AND q.day = (now() AT TIME ZONE 'Asia/Shanghai')::date
)
"""
_MATCHES = """
($2 = '' OR strpos(lower(f.name || ' ' || f.display_name), lower($2)) > 0)
AND ($3::bigint IS NULL OR f.home_id = $3) AND ($4 = '' OR f.standing = $4)
AND ($5::bigint IS NULL OR f.parent_id = $5) AND ($6 = '' OR $6 = ANY(f.protocols))
"""
_ORDERS = {
    "path": Order("f.path", "text"),
    "balance": Order("f.balance", "bigint"),
    "created_at": Order("f.created_at", "timestamptz"),
}
_SEARCH = f"{_TREE} SELECT f.*, {{key}} AS _key FROM found f WHERE {_MATCHES} AND {{where}} ORDER BY {{order}}"  # noqa: S608
_HOW_MANY = f"{_TREE} SELECT count(*) FROM (SELECT FROM found f WHERE {_MATCHES} LIMIT $7) n"  # noqa: S608
_ONE = f"{_TREE} SELECT f.* FROM found f WHERE f.id = $2"  # noqa: S608


def _asked(accounts: Sequence[int] | None, wanted: WantedAccounts) -> tuple[object, ...]:
    seen = None if accounts is None else list(accounts)
    return seen, wanted.name, wanted.department_id, wanted.status, wanted.parent_id, wanted.protocol


async def search(
    database: Database, wanted: WantedAccounts, window: Window, *, accounts: Sequence[int] | None
) -> Slice[Row]:
    """Accounts of these (None: all), each with its path from the top, what it is called and its money."""
    return await read(database, _SEARCH, _asked(accounts, wanted), _ORDERS, window, as_it_is, id_="f.id")


async def how_many(database: Database, wanted: WantedAccounts, most: int, *, accounts: Sequence[int] | None) -> int:
    """How many ``search`` finds, counted up to one more than ``most``."""
    number: int = await database.fetchval(_HOW_MANY, *_asked(accounts, wanted), most + 1)
    return number


async def one(database: Database, id_: int, *, accounts: Sequence[int] | None) -> Row | None:
    """An account by its id."""
    return await database.fetchrow(_ONE, None if accounts is None else list(accounts), id_)


@dataclass(frozen=True, slots=True)
class Reach:
    """What a change of some accounts is about: they and all below them."""

    accounts: int
    keys: int
    """In use."""
    waiting: int
    """Parts that wait to be sent, up to ``MOST_WAITING`` and one more."""
    held: int
    """Parts that wait because their account is stopped, counted so as well."""


_REACH = by_name(f"""
WITH RECURSIVE below(id) AS (
    SELECT id FROM account WHERE id = ANY($1::bigint[])
    UNION SELECT a.id FROM account a JOIN below b ON a.parent_id = b.id
)
SELECT (SELECT count(*) FROM below) AS accounts,
       (SELECT count(*) FROM api_key k JOIN below b ON b.id = k.account_id WHERE k.status = 'active') AS keys,
       (SELECT count(*) FROM (
            SELECT FROM below b, LATERAL (SELECT FROM part p WHERE p.account_id = b.id AND p.account_id > 0
                AND p.state IN (:QUEUED, :DEFERRED) LIMIT {MOST_WAITING + 1}) w LIMIT {MOST_WAITING + 1}
       ) q) AS waiting,
       (SELECT count(*) FROM (
            SELECT FROM below b, LATERAL (SELECT FROM part p WHERE p.account_id = b.id
                AND p.state = :HELD AND p.held_for = 'account' LIMIT {MOST_WAITING + 1}) w LIMIT {MOST_WAITING + 1}
       ) h) AS held
""")  # noqa: S608 - constant text


async def reach(database: Database, ids: Sequence[int]) -> Reach:
    """What these accounts and all below them have."""
    row = await database.fetchrow(_REACH, list(ids))
    return Reach(0, 0, 0, 0) if row is None else Reach(**dict(row))


@dataclass(frozen=True, slots=True)
class Belongings:
    """What belongs to one account."""

    keys: int
    below: int
    signs: Sequence[str]
    """Those that may be used, the first few by name."""
    endpoints: Sequence[str]
    """Where its events go, by name."""
    codes: Sequence[str]
    """Digits behind the access code: of signatures (signature and digits), and former ones (digits)."""
    channels: Sequence[Row]
    """``id``, ``name``: over which its messages went lately, the most used first."""


_HAS = """
SELECT (SELECT count(*) FROM api_key WHERE account_id = $1 AND status = 'active') AS keys,
       (SELECT count(*) FROM account WHERE parent_id = $1) AS below,
       ARRAY(SELECT sign FROM sign WHERE account_id = $1 AND state = 'approved' AND stopped_at IS NULL
             AND (expires_at IS NULL OR expires_at > now()) ORDER BY sign LIMIT 20) AS signs,
       ARRAY(SELECT name FROM webhook WHERE account_id = $1 ORDER BY name LIMIT 20) AS endpoints,
       ARRAY(SELECT sign || ' ' || extend_code FROM sign_code WHERE account_id = $1 ORDER BY sign LIMIT 20)
       || ARRAY(SELECT code FROM old_code WHERE account_id = $1 AND until > now() ORDER BY until DESC LIMIT 20) AS codes
"""
_CHANNELS = f"""
SELECT c.id, c.name FROM (
    SELECT value::int AS channel_id, sum(messages) AS n FROM stat_sum
    WHERE span = 'day' AND dimension = 'channel' AND account_id = $1
          AND day > (now() AT TIME ZONE 'Asia/Shanghai')::date - {DAYS} GROUP BY value
) s JOIN channel c ON c.id = s.channel_id WHERE c.id > 0 AND c.removed_at IS NULL ORDER BY s.n DESC, c.name LIMIT 20
"""  # noqa: S608 - constant text


async def belongings(database: Database, account_id: int) -> Belongings:
    """What an account has that pages of their own show."""
    row = await database.fetchrow(_HAS, account_id)
    channels = await database.fetch(_CHANNELS, account_id)
    return Belongings(0, 0, (), (), (), ()) if row is None else Belongings(**dict(row), channels=channels)


_USED = """
SELECT COALESCE(sum(units - refunded), 0)::bigint FROM usage_day WHERE account_id = $1 AND day > $2::date - $3::int
"""


async def used(database: Database, account_id: int, today: date) -> int:
    """Units that an account itself has used in the last ``DAYS`` days, today's among them, without refunds."""
    found: int = await database.fetchval(_USED, account_id, today, DAYS)
    return found

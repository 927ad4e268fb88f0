"""The statements that read who has which number, what has come to each, and what hangs on one that is to change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from smsgw.core.code_plan import Access, Holder, Kind
from smsgw.core.ids import CHINA, first_id
from smsgw.core.model import TEST_CHANNEL
from smsgw.runtime import clock
from smsgw.store.engine.database import Database

DAYS = 7
"""Days that figures look back."""
MOST_LENT = 2000
"""Tasks, and scenarios, that are looked at: the newest."""
MOST_COUNTED = 100_000
"""Replies that are looked at, the newest."""
MOST_NUMBERS = 50
PATIENCE = 20.0

# What an account sends with a signature comes from behind the signature's digits, or else from behind its own.
_HOLDERS = f"""
SELECT * FROM (
    SELECT a.extend_code AS digits, 'account' AS kind, a.id AS account_id, a.name AS account, '' AS sign, '' AS title,
           0::bigint AS id, NULL::timestamptz AS until
    FROM account a WHERE ($1::bigint[] IS NULL OR a.id = ANY($1))
    UNION ALL SELECT s.extend_code, 'sign', a.id, a.name, s.sign, '', 0, NULL
    FROM sign_code s JOIN account a ON a.id = s.account_id WHERE ($1::bigint[] IS NULL OR a.id = ANY($1))
    UNION ALL SELECT o.code, 'former', a.id, a.name, o.sign, '', 0, o.until
    FROM old_code o JOIN account a ON a.id = o.account_id
    WHERE o.until > now() AND o.code <> '' AND ($1::bigint[] IS NULL OR a.id = ANY($1))
    UNION ALL (SELECT COALESCE(s.extend_code, a.extend_code) || t.extend_code, 'task', a.id, a.name, t.sign, t.name,
                      t.id, NULL
    FROM task t JOIN account a ON a.id = t.account_id
    LEFT JOIN sign_code s ON s.account_id = t.account_id AND s.sign = t.sign
    WHERE t.state NOT IN ('finished', 'cancelled', 'failed') AND t.extend_code <> ''
        AND ($1::bigint[] IS NULL OR t.account_id = ANY($1))
    ORDER BY t.id DESC LIMIT {MOST_LENT})
    UNION ALL (SELECT COALESCE(s.extend_code, a.extend_code) || c.extend_code, 'scenario', a.id, a.name, c.sign, c.name,
                      c.id, NULL
    FROM scenario c JOIN account a ON a.id = c.account_id
    LEFT JOIN sign_code s ON s.account_id = c.account_id AND s.sign = c.sign
    WHERE c.extend_code <> '' AND ($1::bigint[] IS NULL OR c.account_id = ANY($1))
    ORDER BY c.id DESC LIMIT {MOST_LENT})
) holders
ORDER BY digits, kind, account, sign, until
"""  # noqa: S608 - numbers of ours


def cut(holders: Iterable[Holder]) -> bool:
    """Whether there may be older tasks or scenarios that are not among these."""
    n = Counter(one.kind for one in holders)
    return max(n[Kind.TASK], n[Kind.SCENARIO]) >= MOST_LENT


async def holders(database: Database, seen: Sequence[int] | None = None) -> list[Holder]:
    """Who has which digits behind the access codes: accounts, signatures, tasks that are not over, scenarios, and who
    had them within the time that replies are matched; of these accounts, or of all."""
    rows = await database.fetch(_HOLDERS, None if seen is None else list(seen))
    return [
        Holder(row["digits"], Kind(row["kind"]), row["account_id"], row["account"], row["sign"], row["title"],
               row["id"], row["until"])
        for row in rows
    ]  # fmt: skip


_ACCESS = """
SELECT c.id, c.name, c.access_code AS code, NULL::timestamptz AS until
FROM channel c WHERE c.removed_at IS NULL AND c.id > 0 AND c.access_code <> ''
UNION ALL SELECT c.id, c.name, o.code, o.until
FROM old_code o JOIN channel c ON c.id = o.channel_id WHERE o.until > now()
ORDER BY until NULLS FIRST, name
"""


async def access(database: Database) -> list[Access]:
    """Access codes of channels, then former ones that replies still come to."""
    return [Access(row["id"], row["name"], row["code"], row["until"]) for row in await database.fetch(_ACCESS)]


@dataclass(frozen=True, slots=True)
class Replies:
    """What has come to a number lately."""

    number: str
    n: int
    unowned: int
    """Of which it is not known whose they are."""
    accounts: tuple[str, ...]
    newest: datetime


_REPLIES = f"""
SELECT o.to_code AS number, count(*) AS n, count(*) FILTER (WHERE o.account_id IS NULL) AS unowned,
       array_agg(DISTINCT a.name) FILTER (WHERE a.id IS NOT NULL) AS accounts, max(o.received_at) AS newest
FROM (
    SELECT to_code, account_id, received_at FROM mo
    WHERE id >= $1 AND channel_id <> {TEST_CHANNEL} AND ($2::bigint[] IS NULL OR account_id = ANY($2))
    ORDER BY id DESC LIMIT {MOST_COUNTED}
) o LEFT JOIN account a ON a.id = o.account_id
GROUP BY o.to_code ORDER BY n DESC, o.to_code LIMIT {MOST_NUMBERS}
"""  # noqa: S608 - numbers of ours


async def replies(database: Database, seen: Sequence[int] | None = None) -> list[Replies]:
    """The numbers that most replies of the last ``DAYS`` have come to."""
    since = first_id(clock.now() - timedelta(days=DAYS))
    rows = await database.fetch(_REPLIES, since, None if seen is None else list(seen), timeout=PATIENCE)
    return [
        Replies(row["number"], row["n"], row["unowned"], tuple(row["accounts"] or ()), row["newest"]) for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Users:
    """Who has sent lately through a channel."""

    accounts: int = 0
    signs: int = 0
    parts: int = 0
    names: tuple[str, ...] = ()
    """The five that have sent most."""


_USERS = """
SELECT s.channel_id, count(DISTINCT s.account_id) AS accounts,
       count(DISTINCT s.sign) FILTER (WHERE s.sign <> '') AS signs, sum(s.parts)::bigint AS parts
FROM stat_day s WHERE s.day >= $1 AND s.channel_id > 0 AND ($2::int IS NULL OR s.channel_id = $2) GROUP BY 1
"""
_MOST = """
SELECT a.name FROM (
    SELECT account_id, sum(parts) AS parts FROM stat_day WHERE day >= $1 AND channel_id = $2 GROUP BY 1
    ORDER BY 2 DESC LIMIT 5
) most JOIN account a ON a.id = most.account_id ORDER BY most.parts DESC
"""


async def users(database: Database, channel_id: int | None = None) -> dict[int, Users]:
    """Channel -> who has sent through it within ``DAYS``, by the figures of days; of one channel with names."""
    since = (clock.now() - timedelta(days=DAYS)).astimezone(CHINA).date()
    rows = await database.fetch(_USERS, since, channel_id, timeout=PATIENCE)
    found = {row["channel_id"]: Users(row["accounts"], row["signs"], row["parts"]) for row in rows}
    if channel_id is not None and channel_id in found:
        names = tuple(row["name"] for row in await database.fetch(_MOST, since, channel_id, timeout=PATIENCE))
        one = found[channel_id]
        found[channel_id] = Users(one.accounts, one.signs, one.parts, names)
    return found

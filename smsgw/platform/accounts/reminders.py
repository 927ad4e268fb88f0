"""People are reminded of accounts: before contracts end, and when most or all of a volume is used; once each.

The volume is what there was to spend after the latest top-up (of one that pays afterwards: its ceiling), and the limit
of a month; a contract ends for who may send with the first of the accounts above that stops. Who is told: whoever sees
the balance, its own people among them, and of contracts whoever may change the account, too. Who would be told of many
accounts at once is told how many there are.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import structlog

from smsgw.core.accounts import MAX_DEPTH
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.pipeline.periodic import Periodic
from smsgw.platform.notices import queries as inbox, service as notices
from smsgw.platform.notices.service import Reminder
from smsgw.platform.org import queries as org
from smsgw.platform.org.model import Person
from smsgw.runtime import clock
from smsgw.store.engine.database import Database, Row

log = structlog.get_logger(__name__)

DAYS = (90, 30, 7, 0)
"""Before a contract's last day; 0: it is over."""
PERCENT = (80, 100)
"""Of a volume."""
EVERY = 900.0
AT_ONCE = 5000
"""Of each kind in one round."""
PATIENCE = 60.0
"""Seconds to look for what is due."""
TOGETHER = 20
"""That are marked and told in one transaction."""
MOST_EACH = 20
"""Accounts that one person is told of one by one, of a kind and round."""
MOST_TOLD = 1000
"""People who are told."""
MOST_NAME = 40
RIGHTS = frozenset({Permission.ACCOUNT_EDIT, Permission.BALANCE_VIEW})

_ENDS = f"""
WITH RECURSIVE line(id, above, next, depth) AS (
    SELECT id, id, parent_id, 1 FROM account WHERE id > 0 AND status = 'active'
    UNION ALL SELECT l.id, a.id, a.parent_id, l.depth + 1 FROM line l JOIN account a ON a.id = l.next
    WHERE l.depth < {MAX_DEPTH}
),
ends AS MATERIALIZED (
    SELECT DISTINCT ON (l.id, a.stops_at_end) l.id, a.id AS whose, a.ends_on, a.stops_at_end AS stops
    FROM line l JOIN account a ON a.id = l.above
    WHERE a.ends_on IS NOT NULL AND (a.stops_at_end OR a.id = l.id)
    ORDER BY l.id, a.stops_at_end, a.ends_on, l.depth
)
"""  # noqa: S608 - constants
# Who hears of it late hears of the nearest distance alone; what has been over for a month is nothing new.
_CONTRACTS = f"""
{_ENDS}
SELECT e.id, 'contract' AS kind, e.whose, e.ends_on::text AS about, d.days AS level, 0::bigint AS most, e.stops,
       COALESCE(NULLIF(a.display_name, ''), a.name) AS name
FROM ends e JOIN account a ON a.id = e.id
CROSS JOIN LATERAL (
    SELECT min(n) AS days FROM unnest($2::int[]) n WHERE e.ends_on - $1::date < n + (n > 0)::int) d
WHERE e.ends_on > $1::date - 30 AND d.days IS NOT NULL AND NOT EXISTS (
    SELECT FROM account_reminder r WHERE r.account_id = e.id AND r.kind = 'contract' AND r.about = e.ends_on::text
                                     AND r.level <= d.days)
ORDER BY e.ends_on, e.id LIMIT $3
"""  # noqa: S608 - constants
# What is taken out after a top-up was not used. Balances of top-ups were not noted once: nothing is known of these.
_VOLUMES = """
WITH topup AS MATERIALIZED (SELECT account_id, id, at, units, balance FROM ledger WHERE kind = 'topup'),
latest AS (
    SELECT DISTINCT ON (account_id) account_id, id, at, balance FROM topup WHERE units > 0 AND balance IS NOT NULL
    ORDER BY account_id, at DESC, id DESC
),
bought AS (
    SELECT l.account_id, l.id, (l.balance + COALESCE(sum(x.units), 0))::bigint AS had FROM latest l
    LEFT JOIN topup x ON x.account_id = l.account_id AND x.units < 0 AND (x.at, x.id) > (l.at, l.id)
    GROUP BY l.account_id, l.id, l.balance
),
volume AS MATERIALIZED (
    SELECT a.id, 'quota' AS kind, to_char($1::date, 'YYYY-MM') AS about, q.parts AS used, a.quota_month::bigint AS most
    FROM account a CROSS JOIN LATERAL (
        SELECT COALESCE(sum(q.parts), 0)::bigint AS parts FROM quota_used q
        WHERE q.account_id = a.id AND q.day BETWEEN date_trunc('month', $1::date)::date AND $1::date) q
    WHERE a.id > 0 AND a.status = 'active' AND NOT a.training AND a.quota_month > 0
    UNION ALL
    SELECT a.id, 'balance', COALESCE(t.id, 0)::text, COALESCE(t.had, 0) - a.balance,
           COALESCE(t.had, 0) - a.credit_floor
    FROM account a LEFT JOIN bought t ON t.account_id = a.id
    WHERE a.id > 0 AND a.status = 'active' AND NOT a.training
)
"""
# A volume that is made larger is another one; of one that is made smaller only more is new.
_USE = f"""
{_VOLUMES}
SELECT u.id, u.kind, u.id AS whose, u.about, d.level, u.most, u.used,
       COALESCE(NULLIF(a.display_name, ''), a.name) AS name
FROM volume u JOIN account a ON a.id = u.id
CROSS JOIN LATERAL (SELECT max(n) AS level FROM unnest($2::int[]) n WHERE u.used * 100 >= u.most * n) d
WHERE u.most > 0 AND d.level IS NOT NULL AND NOT EXISTS (
    SELECT FROM account_reminder r WHERE r.account_id = u.id AND r.kind = u.kind AND r.about = u.about
                                     AND r.level >= d.level AND r.most >= u.most)
ORDER BY u.id, u.kind LIMIT $3
"""  # noqa: S608 - constants
# What was not read yet and is no longer so: the contract goes on, there is more to spend.
_CONTRACTS_GONE = f"""
{_ENDS}
DELETE FROM inbox i WHERE i.kind = 'contract' AND i.subject > 0 AND i.read_at IS NULL AND NOT EXISTS (
    SELECT FROM ends e WHERE e.id = i.subject AND e.ends_on::text = i.detail::jsonb ->> 'day')
"""  # noqa: S608 - constants
_USE_GONE = f"""
{_VOLUMES}
DELETE FROM inbox i WHERE i.kind IN ('balance', 'quota') AND i.subject > 0 AND i.read_at IS NULL AND NOT EXISTS (
    SELECT FROM volume u WHERE u.id = i.subject AND u.kind = i.kind AND u.about = i.detail::jsonb ->> 'of'
                           AND u.most <= (i.detail::jsonb ->> 'most')::bigint)
"""  # noqa: S608 - constants
_MARK = """
INSERT INTO account_reminder AS r (account_id, kind, about, level, most)
SELECT account_id, kind, about, level, max(most)
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::int[], $5::bigint[]) AS t(account_id, kind, about, level, most)
GROUP BY account_id, kind, about, level ORDER BY account_id, kind, about, level
ON CONFLICT (account_id, kind, about, level) DO UPDATE SET most = excluded.most, at = excluded.at
"""
# As long as a volume lasts, what was told of it is known.
_FORGET = """
DELETE FROM account_reminder
WHERE kind = 'quota' AND at < $1::timestamptz - interval '90 days' OR at < $1::timestamptz - interval '5 years'
"""


@dataclass(frozen=True, slots=True)
class _Due:
    """What is to be told of an account."""

    account_id: int
    kind: str
    about: str
    level: int
    most: int
    whose: int
    """The account with this contract: itself, or one above."""
    word: str
    detail: str

    def concerns(self, person: Person) -> bool:
        """Whether it is told to somebody: whoever sees the account above is told of that one."""
        return (
            inbox.concerns(self.kind, person.permissions)
            and person.scope.covers(self.account_id)
            and (self.whose == self.account_id or not person.scope.covers(self.whose))
        )

    def to(self, staff_id: int) -> Reminder:
        """The row of somebody's inbox."""
        return Reminder(staff_id, self.kind, self.account_id, self.word, self.detail)


class AccountReminders:
    """Reminds of contracts and of volumes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def periodics(self) -> Sequence[Periodic]:
        """What comes round."""
        return (Periodic("accounts.remind", EVERY, self.step, jitter=EVERY / 10, exclusive="accounts/remind"),)

    async def step(self) -> bool:
        """One round; whether there may be more to tell.

        What is due is looked for without a lock; then few accounts at a time are marked and told of.
        """
        now = clock.now()
        today = now.astimezone(CHINA).date()
        await self._database.execute(_CONTRACTS_GONE, timeout=PATIENCE)
        await self._database.execute(_USE_GONE, today, timeout=PATIENCE)
        people = await org.holding(self._database, RIGHTS, MOST_TOLD)
        contracts = [_contract(row) for row in await self._due(_CONTRACTS, today, DAYS)]
        use = [_use(row) for row in await self._due(_USE, today, PERCENT)]
        # Nobody to tell: somebody who comes is told then. Of two ends the nearer one stays.
        due = (*reversed(contracts), *use)
        told = [(one, who) for one in due if (who := [p.id for p in people if one.concerns(p)])]
        await self._tell(told, now)
        await self._database.execute(_FORGET, now)
        if told:
            log.info("accounts.reminded", reminders=len(told))
        return bool(told) and AT_ONCE in (len(contracts), len(use))

    async def _due(self, sql: str, today: date, levels: Sequence[int]) -> list[Row]:
        return await self._database.fetch(sql, today, list(levels), AT_ONCE, timeout=PATIENCE)

    async def _tell(self, told: Sequence[tuple[_Due, Sequence[int]]], now: datetime) -> None:
        several = {
            key: n for key, n in Counter((id_, one.kind) for one, who in told for id_ in who).items() if n > MOST_EACH
        }
        # First, as what breaks off begins anew: told twice is better than not at all.
        rows = {(id_, kind, 0): _several(id_, kind, n, now) for (id_, kind), n in several.items()}
        for at in range(0, len(told), TOGETHER):
            few = told[at : at + TOGETHER]
            rows |= {
                (id_, one.kind, one.account_id): one.to(id_)
                for one, who in few for id_ in who if (id_, one.kind) not in several
            }  # fmt: skip
            marks = [
                [getattr(one, name) for one, _ in few] for name in ("account_id", "kind", "about", "level", "most")
            ]
            async with self._database.transaction() as connection:
                await connection.execute(_MARK, *marks)
                await notices.remind(connection, list(rows.values()), now)
            rows = {}


def _contract(row: Row) -> _Due:
    said = {"account": row["name"][:MOST_NAME], "day": row["about"], "stops": row["stops"]}
    return _due(row, f"due{row['level']}", said)


def _use(row: Row) -> _Due:
    said = {"account": row["name"][:MOST_NAME], "used": row["used"], "most": row["most"], "of": row["about"]}
    return _due(row, f"used{row['level']}", said)


def _due(row: Row, word: str, said: dict[str, object]) -> _Due:
    detail = json.dumps(said, ensure_ascii=False)
    return _Due(row["id"], row["kind"], row["about"], row["level"], row["most"], row["whose"], word, detail)


def _several(staff_id: int, kind: str, n: int, now: datetime) -> Reminder:
    """Each round's is a row of its own: the one before may be unread yet."""
    return Reminder(staff_id, kind, -int(now.timestamp()), "several", json.dumps({"n": n}))

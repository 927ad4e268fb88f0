"""What accounts may spend and send, asked under lock, and the books of what they did: debits, usage, quotas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from smsgw.core.errors import Refused, SmsgwError
from smsgw.core.ids import CHINA, time_of
from smsgw.core.words import phrase
from smsgw.store.engine import latest_version
from smsgw.store.engine.cte_batch import Together
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.messages.calls import NewCall

_SPENDING = """
id, halted OR status <> 'active' AS halted, balance - credit_floor AS available, quota_day, quota_month, training
"""
_LOOK = f"SELECT {_SPENDING} FROM account WHERE id = ANY($1::bigint[]) ORDER BY id"  # noqa: S608 - constant text

LOCK = latest_version.lock("account", _SPENDING)

# Asked after the lock: only then is it certain that no other node is adding to it.
_USED = """
SELECT a.id, COALESCE(sum(q.parts) FILTER (WHERE q.day = $2), 0)::bigint AS day,
       COALESCE(sum(q.parts), 0)::bigint AS month
FROM unnest($1::bigint[]) AS a(id)
LEFT JOIN quota_used q ON q.account_id = a.id AND q.day BETWEEN date_trunc('month', $2::date)::date AND $2
GROUP BY a.id
"""

# What the books of accounts say of this month, for departments and all below them; an account without a department is
# part of that of the account above it.
_MONTH = """
WITH RECURSIVE home(id, department_id) AS (
    SELECT id, department_id FROM account WHERE parent_id IS NULL
    UNION ALL
    SELECT a.id, COALESCE(a.department_id, h.department_id) FROM account a JOIN home h ON a.parent_id = h.id
),
below(root, id) AS (
    SELECT id, id FROM department WHERE id = ANY($1::bigint[])
    UNION ALL
    SELECT b.root, d.id FROM department d JOIN below b ON d.parent_id = b.id WHERE d.removed_at IS NULL
)
SELECT b.root, date_trunc('month', $2::date)::date, COALESCE(sum(u.parts), 0)::bigint
FROM below b LEFT JOIN home h ON h.department_id = b.id
LEFT JOIN usage_day u ON u.account_id = h.id AND u.day BETWEEN date_trunc('month', $2::date)::date AND $2
GROUP BY b.root
"""
_SEED = f"""
INSERT INTO department_used (department_id, month, parts) {_MONTH} ORDER BY b.root
ON CONFLICT (department_id, month) DO NOTHING
"""
_DEPARTMENTS = """
SELECT u.department_id, u.parts, d.month_quota FROM department_used u JOIN department d ON d.id = u.department_id
WHERE u.department_id = ANY($1::bigint[]) AND u.month = date_trunc('month', $2::date)::date ORDER BY u.department_id
"""
_LOCK_DEPARTMENTS = f"{_DEPARTMENTS} FOR UPDATE OF u"
_SPENT = f"""
SELECT m.root AS department_id, d.month_quota,
       COALESCE(CASE WHEN d.month_quota IS NOT NULL THEN u.parts END, m.parts) AS parts
FROM ({_MONTH}) AS m(root, month, parts) JOIN department d ON d.id = m.root
LEFT JOIN department_used u ON u.department_id = m.root AND u.month = m.month
"""  # noqa: S608 - constant text

USAGE_KEY = "account_id, day, submitter, type"
"""Of ``usage_day``."""
TODAY = "(statement_timestamp() AT TIME ZONE 'Asia/Shanghai')::date"
"""The day of entries that the statement makes in the ledger: their ``at`` is the same."""

# Rows that several writers share are touched in the order of their keys. Use is of the day of its ledger entry, as
# refunds are: bills are of these days, also of what was set apart before midnight. Quotas have the day of acceptance.
_BOOK = {
    "debit": """
SELECT * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::bigint[])
    AS d(account_id, batch_id, units, submitter, type, messages, parts)
""",
    "entry": """
INSERT INTO ledger (id, account_id, kind, units) SELECT batch_id, account_id, 'debit', -units FROM debit WHERE units > 0
""",
    "used": f"""
SELECT account_id, {TODAY} AS day, submitter, type,
       sum(messages) AS messages, sum(parts) AS parts, sum(units) AS units, 0 AS refunded FROM debit
GROUP BY account_id, submitter, type ORDER BY account_id, submitter, type
""",  # noqa: S608 - constants
    **latest_version.added("usage", "usage_day", USAGE_KEY, "messages, parts, units", "used", "refunded"),
    "counted": """
SELECT id AS account_id, $1::date AS day, parts FROM unnest($9::bigint[], $10::bigint[]) AS t(id, parts) ORDER BY id
""",
    **latest_version.added("quota", "quota_used", "account_id, day", "parts", "counted"),
    "month": """
UPDATE department_used q SET parts = q.parts + t.parts FROM unnest($11::bigint[], $12::bigint[]) AS t(id, parts)
WHERE q.department_id = t.id AND q.month = date_trunc('month', $1::date)::date
""",
    "paid": "SELECT account_id AS id, sum(units) AS units FROM debit GROUP BY account_id HAVING sum(units) > 0",
    **latest_version.changed("balance", "account", "id", "balance = t.balance - s.units", "paid"),  # it is locked
}


@dataclass(slots=True)
class Limits:
    """What the accounts of a batch may still spend and send, under lock."""

    day: date
    halted: dict[int, bool]
    training: dict[int, bool]
    """Whether the account rehearses."""
    available: dict[int, int]
    """Units that may be spent."""
    quotas: dict[int, list[tuple[str, int, int]]]
    """By account: (code, limit, parts used) of its quotas."""
    departments: dict[int, tuple[int, int]]
    """By department: its month's quota and the parts used."""
    taken: Counter[int] = field(default_factory=Counter)
    """Parts of this batch, by account with a quota; by department, negative."""
    settled: Counter[int] = field(default_factory=Counter)
    """Units of this batch's spooled calls, by account, of which it is known what becomes of them: what is reserved for
    spooled calls is so by these too much."""

    def refusal(self, call: NewCall, reserved: int = 0) -> SmsgwError | None:
        """Why the call cannot be taken. ``reserved``: units that are not for it."""
        if self.halted.get(call.account_id, True):
            return Refused("ACCOUNT_STOPPED")
        if self.training.get(call.account_id, False) is not call.training:  # a node had not heard of the switch yet
            return Refused("STATE_CONFLICT", reason=phrase("account.switched"))
        left = self.available[call.account_id]
        if reserved and left > 0:
            left = max(0, left - max(0, reserved - self.settled[call.account_id]))
        if call.units > left:
            return Refused("BALANCE_INSUFFICIENT", need=call.units, left=max(0, left))
        return self.over(call.guards, len(call.parts), time_of(call.batch_id), call.departments)

    def over(
        self, guards: Sequence[int], parts: int, at: datetime, departments: Sequence[int] = ()
    ) -> SmsgwError | None:
        """Which quota of these accounts and departments so many parts would pass."""
        for guard in guards:
            for code, limit, used in self.quotas.get(guard, ()):
                left = limit - used - self.taken[guard]
                if parts > left:
                    wait = self._until_next(code, at)
                    return Refused(code, retry_after=wait, limit=limit, left=max(0, left), need=parts)
        for department in departments:
            if department in self.departments:  # its quota may have been taken away meanwhile
                limit, used = self.departments[department]
                left = limit - used - self.taken[-department]
                if parts > left:
                    code = "QUOTA_DEPARTMENT_EXCEEDED"
                    wait = self._until_next(code, at)
                    return Refused(code, retry_after=wait, limit=limit, left=max(0, left), need=parts)
        return None

    def take(self, call: NewCall) -> None:
        """The call is accepted."""
        self.available[call.account_id] -= call.units
        for guard in call.guards:
            self.taken[guard] += len(call.parts)
        for department in call.departments:
            self.taken[-department] += len(call.parts)
        self.settle(call)

    def settle(self, call: NewCall) -> None:
        """The call's units are in the books, or will never be: nothing is kept for it any more."""
        if call.spooled:
            self.settled[call.account_id] += call.units

    def _until_next(self, code: str, at: datetime) -> float:
        first = self.day + timedelta(days=1)
        if code != "QUOTA_DAY_EXCEEDED":
            first = (self.day.replace(day=1) + timedelta(days=32)).replace(day=1)
        start = datetime(first.year, first.month, first.day, tzinfo=CHINA)
        return max(1.0, (start - at).total_seconds())


def locked(calls: Sequence[NewCall]) -> list[int]:
    """The accounts of the calls, and those whose quotas count them: what ``LOCK`` is given."""
    return sorted({a for c in calls for a in (c.account_id, *c.guards)})


async def limits(connection: Connection, rows: Sequence[Row], calls: Sequence[NewCall], day: date) -> Limits:
    """What is left to these accounts, the rows of ``LOCK``, and to their departments, which are locked, too."""
    departments = sorted({d for c in calls for d in c.departments})
    used = await lock_departments(connection, departments, day) if departments else []
    return await _limits(connection, rows, day, used)


async def lock_departments(connection: Connection, departments: Sequence[int], day: date) -> list[Row]:
    """What departments have used in this month, under lock: behind the accounts, so that nobody waits in a circle."""
    found = await connection.fetch(_LOCK_DEPARTMENTS, departments, day)
    if len(found) == len(departments):
        return found
    await connection.execute(_SEED, departments, day)  # the first call of the month, or since there is a quota
    return await connection.fetch(_LOCK_DEPARTMENTS, departments, day)


async def peek(
    database: Database, account_id: int, guards: Sequence[int], day: date, departments: Sequence[int] = ()
) -> Limits:
    """The same without locks: how it is now, for who only asks."""
    async with database.acquire() as connection:
        rows = await connection.fetch(_LOOK, [account_id, *guards])
        used = await connection.fetch(_SPENT, list(departments), day) if departments else []
        return await _limits(connection, rows, day, used)


async def spent(database: Database, departments: Sequence[int], day: date) -> dict[int, int]:
    """Parts that departments and all below them have used in the month of a day."""
    return {row["department_id"]: row["parts"] for row in await database.fetch(_SPENT, list(departments), day)}


async def _limits(connection: Connection, rows: Sequence[Row], day: date, departments: Sequence[Row]) -> Limits:
    guards = [row["id"] for row in rows if row["quota_day"] is not None or row["quota_month"] is not None]
    used = {row["id"]: row for row in await connection.fetch(_USED, guards, day)} if guards else {}
    quotas = {
        row["id"]: [
            (f"QUOTA_{period.upper()}_EXCEEDED", row[f"quota_{period}"], used[row["id"]][period])
            for period in ("day", "month")
            if row[f"quota_{period}"] is not None
        ]
        for row in rows
        if row["id"] in used
    }
    return Limits(
        day,
        {row["id"]: row["halted"] for row in rows},
        {row["id"]: row["training"] for row in rows},
        {row["id"]: row["available"] for row in rows},
        quotas,
        {
            row["department_id"]: (row["month_quota"], row["parts"])
            for row in departments
            if row["month_quota"] is not None
        },
    )


def enter(changes: Together, calls: Sequence[NewCall], day: date) -> None:
    """Enter debits, usage and what counts against quotas."""
    if not calls:
        return
    trees: Counter[int] = Counter()
    departments: Counter[int] = Counter()
    for call in calls:
        for department in call.departments:
            departments[department] += len(call.parts)
        for account_id in (call.account_id, *call.above):
            trees[account_id] += len(call.parts)
    changes.add(
        _BOOK,
        day,
        [c.account_id for c in calls],
        [c.batch_id for c in calls],
        [c.units for c in calls],
        [c.messages[0].submitter for c in calls],
        [c.messages[0].type for c in calls],
        [len(c.messages) for c in calls],
        [len(c.parts) for c in calls],
        list(trees.keys()),
        list(trees.values()),
        list(departments.keys()),
        list(departments.values()),
    )

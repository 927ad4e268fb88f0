"""What accounts may spend and send, asked under lock, and the books of what they did: debits, usage, quotas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from smsgw.core.errors import Refused, SmsgwError
from smsgw.core.ids import CHINA, time_of
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.messages.calls import MESSAGE_COLUMNS, NewCall

_SUBMITTER, _TYPE = (MESSAGE_COLUMNS.index(c) for c in ("submitter", "type"))

_LOOK = """
SELECT id, halted OR status <> 'active' AS halted, balance - credit_floor AS available, quota_day, quota_month
FROM account WHERE id = ANY($1::bigint[]) ORDER BY id
"""
_LOCK = f"{_LOOK} FOR UPDATE"

# Asked after the lock: only then is it certain that no other node is adding to it.
_USED = """
SELECT a.id, COALESCE(sum(q.parts) FILTER (WHERE q.day = $2), 0)::bigint AS day,
       COALESCE(sum(q.parts), 0)::bigint AS month
FROM unnest($1::bigint[]) AS a(id)
LEFT JOIN quota_used q ON q.account_id = a.id AND q.day BETWEEN date_trunc('month', $2::date)::date AND $2
GROUP BY a.id
"""

# All the books of a batch in one statement. Rows that several writers share are touched in the order of their keys.
_BOOK = """
WITH d AS (
    SELECT * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::bigint[])
        AS d(account_id, batch_id, units, submitter, type, messages, parts)
),
entry AS (
    INSERT INTO ledger (id, account_id, kind, units)
    SELECT batch_id, account_id, 'debit', -units FROM d WHERE units > 0
),
usage AS (
    INSERT INTO usage_day AS u (account_id, day, submitter, type, messages, parts, units, refunded)
    SELECT account_id, $1, submitter, type, sum(messages), sum(parts), sum(units), 0 FROM d
    GROUP BY account_id, submitter, type ORDER BY account_id, submitter, type
    ON CONFLICT (account_id, day, submitter, type) DO UPDATE
    SET messages = u.messages + excluded.messages, parts = u.parts + excluded.parts, units = u.units + excluded.units
),
quota AS (
    INSERT INTO quota_used AS q (account_id, day, parts)
    SELECT id, $1, parts FROM unnest($9::bigint[], $10::bigint[]) AS t(id, parts) ORDER BY id
    ON CONFLICT (account_id, day) DO UPDATE SET parts = q.parts + excluded.parts
)
UPDATE account a SET balance = a.balance - s.units
FROM (SELECT account_id, sum(units) AS units FROM d GROUP BY account_id) s
WHERE a.id = s.account_id AND s.units > 0
"""


@dataclass(slots=True)
class Limits:
    """What the accounts of a batch may still spend and send, under lock."""

    day: date
    halted: dict[int, bool]
    available: dict[int, int]
    """Units that may be spent."""
    quotas: dict[int, list[tuple[str, int, int]]]
    """By account: (code, limit, parts used) of its quotas."""
    taken: Counter[int] = field(default_factory=Counter)
    """Parts of this batch, by account with a quota."""
    settled: Counter[int] = field(default_factory=Counter)
    """Units of this batch's spooled calls, by account, of which it is known what becomes of them: what is reserved for
    spooled calls is so by these too much."""

    def refusal(self, call: NewCall, reserved: int = 0) -> SmsgwError | None:
        """Why the call cannot be taken. ``reserved``: units that are not for it."""
        if self.halted.get(call.account_id, True):
            return Refused("ACCOUNT_STOPPED")
        left = self.available[call.account_id]
        if reserved and left > 0:
            left = max(0, left - max(0, reserved - self.settled[call.account_id]))
        if call.units > left:
            return Refused("BALANCE_INSUFFICIENT", need=call.units, left=max(0, left))
        return self.over(call.guards, len(call.parts), time_of(call.batch_id))

    def over(self, guards: Sequence[int], parts: int, at: datetime) -> SmsgwError | None:
        """Which quota of these accounts so many parts would pass."""
        for guard in guards:
            for code, limit, used in self.quotas.get(guard, ()):
                left = limit - used - self.taken[guard]
                if parts > left:
                    wait = self._until_next(code, at)
                    return Refused(code, retry_after=wait, limit=limit, left=max(0, left), need=parts)
        return None

    def take(self, call: NewCall) -> None:
        """The call is accepted."""
        self.available[call.account_id] -= call.units
        for guard in call.guards:
            self.taken[guard] += len(call.parts)
        self.settle(call)

    def settle(self, call: NewCall) -> None:
        """The call's units are in the books, or will never be: nothing is kept for it any more."""
        if call.spooled:
            self.settled[call.account_id] += call.units

    def _until_next(self, code: str, at: datetime) -> float:
        first = self.day + timedelta(days=1)
        if code == "QUOTA_MONTH_EXCEEDED":
            first = (self.day.replace(day=1) + timedelta(days=32)).replace(day=1)
        start = datetime(first.year, first.month, first.day, tzinfo=CHINA)
        return max(1.0, (start - at).total_seconds())


async def lock(connection: Connection, calls: Sequence[NewCall], day: date) -> Limits:
    """Lock the accounts of the calls, and those whose quotas count them, and see what is left."""
    ids = sorted({a for c in calls for a in (c.account_id, *c.guards)})
    return await _limits(connection, await connection.fetch(_LOCK, ids) if ids else [], day)


async def peek(database: Database, account_id: int, guards: Sequence[int], day: date) -> Limits:
    """The same without locks: how it is now, for who only asks."""
    async with database.acquire() as connection:
        return await _limits(connection, await connection.fetch(_LOOK, [account_id, *guards]), day)


async def _limits(connection: Connection, rows: Sequence[Row], day: date) -> Limits:
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
        {row["id"]: row["available"] for row in rows},
        quotas,
    )


async def enter(connection: Connection, calls: Sequence[NewCall], day: date) -> None:
    """Enter debits, usage and what counts against quotas."""
    if not calls:
        return
    trees: Counter[int] = Counter()
    for call in calls:
        for account_id in (call.account_id, *call.above):
            trees[account_id] += len(call.parts)
    await connection.execute(
        _BOOK,
        day,
        [c.account_id for c in calls],
        [c.batch_id for c in calls],
        [c.units for c in calls],
        [c.messages[0][_SUBMITTER] for c in calls],
        [str(c.messages[0][_TYPE]) for c in calls],
        [len(c.messages) for c in calls],
        [len(c.parts) for c in calls],
        list(trees.keys()),
        list(trees.values()),
    )

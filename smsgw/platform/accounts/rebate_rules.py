"""Rebates by rule (返点规则): so many units back for each thousand that a month's messages have cost, once a month."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated

import structlog

from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.pipeline.periodic import Periodic
from smsgw.platform.change import Change
from smsgw.platform.listing import Listing, of_accounts
from smsgw.platform.paging import Order
from smsgw.runtime import clock
from smsgw.runtime.rate_limited_logger import RateLimitedLogger
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.messages import daily
from smsgw.store.records import audit

log = structlog.get_logger(__name__)
sparing = RateLimitedLogger(log)

EVERY = 900.0
PATIENCE = 60.0
"""Seconds for a month of an account."""
MOST_AT_ONCE = 500
MOST_BACK = 24
"""Months that are settled late, after whatever has kept them from it."""
MOST_AHEAD = 12
"""Months between making a rule and its first."""
MOST_UNITS = 10_000_000_000
LEAST_REASON, MOST_REASON = 2, 200


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wants to hold of an account."""

    from_month: date
    per_thousand: int
    from_units: int
    reason: str


_TODAY = "({now}::timestamptz AT TIME ZONE 'Asia/Shanghai')::date"
_STATE = f"""
CASE WHEN EXISTS (SELECT FROM rebate_rule n WHERE n.account_id = r.account_id AND n.id > r.id
                  AND n.from_month <= greatest(r.from_month, {_TODAY})) THEN 'replaced'
     WHEN r.from_month > {_TODAY} THEN 'ahead' ELSE 'holds' END
"""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as it stands."""

    id: int
    account_id: int
    account: Annotated[str, "a.name"]
    name: Annotated[str, "COALESCE(NULLIF(a.display_name, ''), a.name)"]
    from_month: date
    per_thousand: int
    from_units: int
    reason: str
    made_by: str
    made_at: datetime
    state: Annotated[str, _STATE]
    """Today: ``ahead``, its first month is to come; ``replaced``, a newer one of the account holds in its place, or
    will before it does; else ``holds``."""


@dataclass(frozen=True, slots=True)
class RuleFilter:
    """Which rules are looked for."""

    account: Annotated[int | None, "r.account_id = {value}"] = None


RULES = Listing(
    Rule,
    RuleFilter,
    "rebate_rule r JOIN account a ON a.id = r.account_id",
    seen=of_accounts("r.account_id"),
    orders={"made_at": Order("r.id", "bigint")},
)


def months(today: date) -> list[date]:
    """First days of the months that a rule may begin with: this one, and those to come."""
    made = [today.replace(day=1)]
    while len(made) <= MOST_AHEAD:
        made.append((made[-1] + timedelta(days=31)).replace(day=1))
    return made


_ADD = """
INSERT INTO rebate_rule (account_id, from_month, per_thousand, from_units, reason, made_by)
VALUES ($1, $2, $3, $4, $5, $6) RETURNING id
"""


async def add(change: Change, account_id: int, draft: Draft) -> int:
    """Let a rule hold for an account from a month on that is not over; its id. ``PARAM_INVALID``, ``NOT_FOUND``."""
    reason = " ".join(draft.reason.split())
    if not LEAST_REASON <= len(reason) <= MOST_REASON:
        raise Invalid("PARAM_INVALID", field="reason", reason=f"{LEAST_REASON}-{MOST_REASON}")
    known = months(_today())
    if draft.from_month not in known:
        said = phrase("rebate.month", first=f"{known[0]:%Y-%m}", last=f"{known[-1]:%Y-%m}")
        raise Invalid("PARAM_INVALID", field="from_month", reason=said)
    if not 0 <= draft.per_thousand <= 1000:
        raise Invalid("PARAM_INVALID", field="per_thousand", reason="0-1000")
    if not 0 <= draft.from_units <= MOST_UNITS:
        raise Invalid("PARAM_INVALID", field="from_units", reason=f"0-{MOST_UNITS}")
    async with change.unit(Permission.BALANCE_EDIT, account_id) as unit:
        values = (draft.from_month, draft.per_thousand, draft.from_units, reason)
        id_: int = await unit.connection.fetchval(_ADD, account_id, *values, unit.actor.label)
        after = {"from_month": f"{draft.from_month:%Y-%m}", "per_thousand": draft.per_thousand,
                 "from_units": draft.from_units, "reason": reason}  # fmt: skip
        unit.record("rebate.rule", f"account/{account_id}", after=after)
    return id_


def _today() -> date:
    return clock.now().astimezone(CHINA).date()


# --- a month is settled ----------------------------------------------------------------------------------------------

_DUE = f"""
SELECT DISTINCT ON (m.month, r.account_id) m.month::date, r.account_id, r.id, r.per_thousand, r.from_units
FROM generate_series($1::timestamp - interval '{MOST_BACK - 1} months', $1, interval '1 month') AS m (month)
JOIN rebate_rule r ON r.from_month <= m.month
WHERE NOT EXISTS (SELECT FROM rebate b WHERE b.account_id = r.account_id AND b.month = m.month)
ORDER BY m.month, r.account_id, r.id DESC LIMIT {MOST_AT_ONCE}
"""  # noqa: S608 - constants
_PAID = """
SELECT COALESCE(-sum(units), 0)::bigint FROM ledger
WHERE account_id = $1 AND kind IN ('debit', 'refund') AND at >= $2 AND at < $3
"""
_SETTLE = """
INSERT INTO rebate (account_id, month, rule_id, paid, units, entry_id) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING RETURNING units
"""
_GIVE = """
WITH changed AS (UPDATE account SET balance = balance + $3 WHERE id = $2 RETURNING balance)
INSERT INTO ledger (id, account_id, kind, units, note, balance)
SELECT $1, $2, 'rebate', $3, $4, balance FROM changed RETURNING balance
"""
_AUTHOR = Actor.system("rebates").author


class Rebating:
    """Settles each month that is over, once all of its refunds have come."""

    def __init__(self, database: Database, ids: Callable[[], int], now: Callable[[], datetime] = clock.now) -> None:
        self._database = database
        self._ids = ids
        self._now = now

    def periodics(self) -> Sequence[Periodic]:
        """What comes round."""
        patience = MOST_AT_ONCE * PATIENCE
        return (Periodic("rebates", EVERY, self.step, jitter=EVERY / 10, exclusive="rebates", patience=patience),)

    async def step(self) -> bool:
        """Settle the accounts that are due; whether there were any. Raises what the last has failed for, once the
        others are settled."""
        settled = (self._now().astimezone(CHINA) - timedelta(days=daily.SETTLED)).date()
        last = (settled.replace(day=1) - timedelta(days=1)).replace(day=1)
        due = await self._database.fetch(_DUE, datetime.combine(last, datetime.min.time()))
        failed: Exception | None = None
        for row in due:
            try:
                async with self._database.transaction(timeout=PATIENCE) as connection:
                    await self._settle(connection, row, row["month"])
            except Exception as exc:  # whatever it is with one account, those behind it are not concerned
                failed = exc
                sparing.error("rebate.failed", row["account_id"], account=row["account_id"], exc_info=exc)
        if failed is not None:
            raise failed
        return bool(due)

    async def _settle(self, connection: Connection, rule: Row, month: date) -> None:
        ends = (month + timedelta(days=31)).replace(day=1)
        span = (datetime.combine(day, datetime.min.time(), CHINA) for day in (month, ends))
        paid = max(await connection.fetchval(_PAID, rule["account_id"], *span, timeout=PATIENCE), 0)
        units = paid * rule["per_thousand"] // 1000 if paid >= rule["from_units"] else 0
        entry = self._ids()
        account_id = rule["account_id"]
        if await connection.fetchval(_SETTLE, account_id, month, rule["id"], paid, units, entry) is None or not units:
            return
        balance = await connection.fetchval(_GIVE, entry, account_id, units, f"{month:%Y-%m}")
        after = {"month": f"{month:%Y-%m}", "rule": rule["id"], "paid": paid, "units": units, "balance": balance}
        await audit.append(connection, _AUTHOR, "rebate.give", f"account/{account_id}", None, after)
        log.info("rebate.given", account=account_id, units=units, month=f"{month:%Y-%m}")

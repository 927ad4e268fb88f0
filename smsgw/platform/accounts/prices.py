"""What units cost when they were booked (docs/adr/102): prices of accounts by the time from which each holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from smsgw.store.engine.database import Database

MOST = 20
"""Prices of an account that are shown, the newest of them."""

PRICED = """
(
    SELECT u.account_id, u.day, u.submitter, u.type, u.messages, u.parts, u.units - COALESCE(o.units, 0) AS units,
           u.refunded - COALESCE(o.refunded, 0) AS refunded, p.price
    FROM usage_day u
    JOIN (
        SELECT account_id, price, valid_from,
               lead(valid_from, 1, 'infinity') OVER (PARTITION BY account_id ORDER BY valid_from) AS until
        FROM account_price
    ) p ON p.account_id = u.account_id AND p.valid_from < (u.day + 1)::timestamp AT TIME ZONE 'Asia/Shanghai'
        AND p.until >= (u.day + 1)::timestamp AT TIME ZONE 'Asia/Shanghai'
    LEFT JOIN (
        SELECT account_id, day, submitter, type, sum(units) AS units, sum(refunded) AS refunded
        FROM usage_price WHERE day BETWEEN $1 AND $2 GROUP BY account_id, day, submitter, type
    ) o ON (o.account_id, o.day, o.submitter, o.type) = (u.account_id, u.day, u.submitter, u.type)
    WHERE u.day BETWEEN $1 AND $2
    UNION ALL
    SELECT account_id, day, submitter, type, 0, 0, units, refunded, price FROM usage_price WHERE day BETWEEN $1 AND $2
)
"""
"""The rows of ``usage_day`` from day ``$1`` to ``$2``, by the price of their units: a query in parentheses. Those of a
day are at the price with which it ends, but for what ``usage_price`` has."""

OF_ENTRY = """
COALESCE(l.price, (SELECT p.price FROM account_price p WHERE p.account_id = l.account_id AND p.valid_from <= l.at
                   ORDER BY p.valid_from DESC LIMIT 1))
"""
"""Yuan for a unit of the ledger's entry ``l``."""


@dataclass(frozen=True, slots=True)
class Price:
    """Yuan for a unit; ``since`` None: since there is the account."""

    price: Decimal
    since: datetime | None


_HISTORY = """
SELECT price, NULLIF(valid_from, '-infinity') AS since FROM account_price WHERE account_id = $1
ORDER BY valid_from DESC LIMIT $2
"""


async def history(database: Database, account_id: int) -> Sequence[Price]:
    """The prices of an account, the one that holds first."""
    return [Price(row["price"], row["since"]) for row in await database.fetch(_HISTORY, account_id, MOST)]

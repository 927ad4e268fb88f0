"""What accounts have used by day, account, key and type: written by acceptance and by refunds, asked for here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from smsgw.core.errors import Invalid
from smsgw.store.engine.database import Database

MAX_ROWS = 10_000
MAX_DAYS = 366

DIMENSIONS: Mapping[str, str] = {
    "day": "u.day", "account": "a.name", "department": "a.department", "key": "u.submitter", "type": "u.type",
}  # fmt: skip
_ASK = """
SELECT {keys} sum(u.messages)::bigint AS messages, sum(u.parts)::bigint AS parts, sum(u.units)::bigint AS units,
       sum(u.refunded)::bigint AS refunded, sum((u.units - u.refunded) * a.unit_price) AS amount
FROM usage_day u JOIN account a ON a.id = u.account_id
WHERE u.day >= $1 AND u.day <= $2 AND u.account_id = ANY($3::bigint[])
{group} LIMIT $4
"""


@dataclass(frozen=True, slots=True)
class Line:
    """The use of one group; ``refunded`` counts on the day of the refund, ``amount`` is in yuan at today's price."""

    keys: Mapping[str, str | date]
    messages: int
    parts: int
    units: int
    refunded: int
    amount: Decimal


async def ask(
    database: Database, *, first: date, last: date, group: Sequence[str], accounts: Sequence[int]
) -> list[Line]:
    """The use of the accounts from day ``first`` to day ``last``, in groups; at most ``MAX_ROWS``."""
    if unknown := [name for name in group if name not in DIMENSIONS]:
        raise Invalid(
            "PARAM_INVALID", field="group", reason=f"{unknown[0]} 不可用,可选 {', '.join(DIMENSIONS)}"
        )
    if not timedelta(0) <= last - first < timedelta(days=MAX_DAYS):
        raise Invalid("PARAM_INVALID", field="to_day", reason=f"须不早于 from_day,最多跨 {MAX_DAYS} 天")
    names = list(dict.fromkeys(group))
    by = ", ".join(str(n) for n in range(1, len(names) + 1))
    query = _ASK.format(
        keys="".join(f"{DIMENSIONS[name]} AS {name}_, " for name in names),
        group=f"GROUP BY {by} ORDER BY {by}",
    )
    rows = await database.fetch(query, first, last, list(accounts), MAX_ROWS)
    return [
        Line(
            {name: row[f"{name}_"] for name in names},
            row["messages"],
            row["parts"],
            row["units"],
            row["refunded"],
            row["amount"],
        )
        for row in rows
    ]

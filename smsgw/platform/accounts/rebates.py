"""Units that went back to accounts, as the ledger has them: of messages that were not sent, or that failed where that
was agreed; and by rule (``rebate_rules``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from smsgw.platform.accounts.prices import OF_ENTRY
from smsgw.platform.paging import Order, Slice, Window, as_it_is, read
from smsgw.store.engine.database import Database, Row


@dataclass(frozen=True, slots=True)
class WantedRebates:
    """From a time until before another; what is None narrows nothing."""

    first: datetime | None
    until: datetime | None
    account_id: int | None = None
    message_id: int | None = None
    kind: str = ""
    """``refund`` or ``rebate``."""


class Sums(NamedTuple):
    """Of all that is found; of the newest, when there are more than were asked for."""

    rebates: int
    units_back: int


_FOUND = """
FROM ledger l JOIN account a ON a.id = l.account_id
WHERE l.kind IN ('refund', 'rebate') AND ($6 = '' OR l.kind = $6)
AND ($1::timestamptz IS NULL OR l.at >= $1) AND ($2::timestamptz IS NULL OR l.at < $2)
AND ($3::bigint[] IS NULL OR l.account_id = ANY($3)) AND ($4::bigint IS NULL OR l.account_id = $4)
AND ($5::bigint IS NULL OR l.id = $5)
"""
_ORDERS = {"time": Order("l.at", "timestamptz")}
_SEARCH = f"""
SELECT l.id, l.at, l.kind, l.units, l.balance, a.name, a.display_name, l.units * {OF_ENTRY} AS amount,
       (SELECT b.rule_id FROM rebate b WHERE b.entry_id = l.id AND l.kind = 'rebate') AS rule_id, {{key}} AS _key
{_FOUND} AND {{where}} ORDER BY {{order}}
"""  # noqa: S608 - constant text
_SUMS = f"""
SELECT count(*) AS rebates, COALESCE(sum(units), 0)::bigint AS units_back
FROM (SELECT l.units {_FOUND} ORDER BY l.at DESC LIMIT $7) f
"""  # noqa: S608 - constant text


def _asked(wanted: WantedRebates, accounts: Sequence[int] | None) -> tuple[object, ...]:
    seen = None if accounts is None else list(accounts)
    return wanted.first, wanted.until, seen, wanted.account_id, wanted.message_id, wanted.kind


async def search(
    database: Database, wanted: WantedRebates, window: Window, *, accounts: Sequence[int] | None
) -> Slice[Row]:
    """Entries of these accounts (None: all); ``id`` of a refund is the message's."""
    return await read(database, _SEARCH, _asked(wanted, accounts), _ORDERS, window, as_it_is, id_="l.id")


async def sums(database: Database, wanted: WantedRebates, most: int, *, accounts: Sequence[int] | None) -> Sums:
    """How many ``search`` finds, and what they come to; at most ``most`` are looked at."""
    row = await database.fetchrow(_SUMS, *_asked(wanted, accounts), most)
    return Sums(0, 0) if row is None else Sums(**dict(row))

"""Units that people have put into accounts or taken out of them, as the ledger has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from smsgw.platform.accounts.prices import OF_ENTRY
from smsgw.platform.paging import Order, Slice, Window, as_it_is, read
from smsgw.store.engine.database import Database, Row


@dataclass(frozen=True, slots=True)
class WantedTopUps:
    """From a time until before another; what is empty narrows nothing."""

    first: datetime | None
    until: datetime | None
    account_id: int | None = None
    note: str = ""
    """Part of it."""
    who: str = ""


class Sums(NamedTuple):
    """Of all that is found; of the newest, when there are more than were asked for."""

    top_ups: int
    units_in: int
    units_out: int


_FOUND = """
FROM ledger l JOIN account a ON a.id = l.account_id
WHERE l.kind = 'topup' AND ($1::timestamptz IS NULL OR l.at >= $1) AND ($2::timestamptz IS NULL OR l.at < $2)
AND ($3::bigint[] IS NULL OR l.account_id = ANY($3)) AND ($4::bigint IS NULL OR l.account_id = $4)
AND ($5 = '' OR strpos(l.note, $5) > 0) AND ($6 = '' OR l.who = $6)
"""
_ORDERS = {"time": Order("l.at", "timestamptz")}
_SEARCH = f"""
SELECT l.id, l.at, l.units, l.note, l.who, l.balance, a.name, a.display_name, l.units * {OF_ENTRY} AS amount,
       {{key}} AS _key
{_FOUND} AND {{where}} ORDER BY {{order}}
"""
_SUMS = f"""
SELECT count(*) AS top_ups, COALESCE(sum(units) FILTER (WHERE units > 0), 0)::bigint AS units_in,
       COALESCE(-sum(units) FILTER (WHERE units < 0), 0)::bigint AS units_out
FROM (SELECT l.units {_FOUND} ORDER BY l.at DESC LIMIT $7) f
"""  # noqa: S608 - constant text


def _asked(wanted: WantedTopUps, accounts: Sequence[int] | None) -> tuple[object, ...]:
    seen = None if accounts is None else list(accounts)
    return wanted.first, wanted.until, seen, wanted.account_id, wanted.note, wanted.who


async def search(
    database: Database, wanted: WantedTopUps, window: Window, *, accounts: Sequence[int] | None
) -> Slice[Row]:
    """Entries of these accounts (None: all)."""
    return await read(database, _SEARCH, _asked(wanted, accounts), _ORDERS, window, as_it_is, id_="l.id")


async def sums(database: Database, wanted: WantedTopUps, most: int, *, accounts: Sequence[int] | None) -> Sums:
    """How many ``search`` finds, and what they come to; at most ``most`` are looked at."""
    row = await database.fetchrow(_SUMS, *_asked(wanted, accounts), most)
    return Sums(0, 0, 0) if row is None else Sums(**dict(row))

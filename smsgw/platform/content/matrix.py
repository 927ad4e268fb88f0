"""Signature × carrier: how each signature stands with each carrier, looked for cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from smsgw.core.templates import CARRIERS, Registration
from smsgw.platform.content.model import Cell, WantedCells
from smsgw.platform.content.queries import SIGN_STATUS, STATE_NOW
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.store.engine.database import Database, Row

_STATE = f"COALESCE({STATE_NOW}, 'pending')"
_ID = "(x.id * 4 + c.n - 1)"
_FROM = f"""
FROM sign x JOIN account a ON a.id = x.account_id
CROSS JOIN unnest($8::text[]) WITH ORDINALITY c(carrier, n)
LEFT JOIN registration r ON r.kind = 'sign' AND r.id = x.id AND r.carrier = c.carrier
WHERE ($1::bigint[] IS NULL OR x.account_id = ANY($1)) AND ($2::bigint IS NULL OR {_ID} = $2)
  AND ($3 = '' OR strpos(x.sign, $3) > 0) AND ($4::bigint IS NULL OR x.account_id = $4) AND $5 IN ('', c.carrier)
  AND $6 IN ('', {_STATE}) AND ($7 = '' OR strpos(r.code, $7) > 0)
  AND ($9::int IS NULL OR r.state = 'registered' AND r.expires_at <= now() + make_interval(days => $9))
"""
_SEARCH = f"""
SELECT {{key}} AS _key, {_ID} AS id, x.id AS sign_id, x.sign AS name, x.account_id, a.name AS account,
       {SIGN_STATUS} AS status, c.carrier, {_STATE} AS state, COALESCE(r.code, '') AS code, r.answered_on, r.expires_at,
       COALESCE(r.note, '') AS note,
       (SELECT count(*) FROM sign_proof p WHERE p.sign_id = x.id AND p.carrier IN ('', c.carrier)) AS proofs
{_FROM} AND {{where}} ORDER BY {{order}}
"""  # noqa: S608 - constants
_SUMS = f"""
SELECT count(*), {", ".join(f"count(*) FILTER (WHERE state = '{state}')" for state in Registration)}
FROM (SELECT {_STATE} AS state {_FROM} LIMIT $10) f
"""  # noqa: S608 - constants
_ORDERS = {
    "id": Order(_ID, "bigint"),
    "name": Order("x.sign", "text"),
    "expires_at": Order("COALESCE(r.expires_at, 'infinity')", "timestamptz"),
}


class Sums(NamedTuple):
    """Cells that are found, and those of them in each state."""

    cells: int
    filings_pending: int
    filings_submitted: int
    filings_registered: int
    filings_refused: int
    filings_expired: int


def _asked(wanted: WantedCells, accounts: Sequence[int] | None) -> tuple[object, ...]:
    whose = None if accounts is None else list(accounts)
    return (
        whose, wanted.id, wanted.sign, wanted.account_id, wanted.carrier, wanted.state, wanted.code, list(CARRIERS),
        wanted.within_days,
    )  # fmt: skip


def _cell(row: Row) -> Cell:
    return Cell(*(row[name] for name in Cell.__dataclass_fields__))


async def search(
    database: Database, wanted: WantedCells, window: Window, *, accounts: Sequence[int] | None
) -> Slice[Cell]:
    """Cells of the signatures of these accounts (None: of all)."""
    return await read(database, _SEARCH, _asked(wanted, accounts), _ORDERS, window, _cell, id_=_ID)


async def sums(database: Database, wanted: WantedCells, most: int, *, accounts: Sequence[int] | None) -> Sums:
    """How many there are by their state, counted up to one more than ``most``."""
    row = await database.fetchrow(_SUMS, *_asked(wanted, accounts), most + 1)
    assert row is not None  # noqa: S101 - a sum is one row
    return Sums(*row.values())


async def one(database: Database, id_: int, *, accounts: Sequence[int] | None) -> Cell | None:
    """A cell by its id."""
    found = await search(database, WantedCells(id=id_), Window(limit=1), accounts=accounts)
    return found.rows[0] if found.rows else None

"""The statements that read scenarios, of the actor's accounts alone."""

from __future__ import annotations

import json
from collections.abc import Sequence

from smsgw.core.errors import Invalid
from smsgw.core.fallback import chain_of
from smsgw.core.model import MessageType
from smsgw.core.words import phrase
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.platform.scenarios.model import Scenario, Terms, Wanted
from smsgw.store.engine.database import Connection, Database, Row

_ORDERS = {
    "created_at": Order("s.created_at", "timestamptz"), "name": Order("s.name", "text"),
    "updated_at": Order("s.updated_at", "timestamptz"), "id": Order("s.id", "bigint"),
}  # fmt: skip
_FOUND = """
FROM scenario s JOIN account a ON a.id = s.account_id
WHERE ($1::bigint[] IS NULL OR s.account_id = ANY($1)) AND ($2::bigint IS NULL OR s.id = $2)
  AND ($3 = '' OR strpos(lower(s.name), lower($3)) > 0)
  AND ($4 = '' OR $4 = CASE WHEN s.stopped_at IS NULL THEN 'active' ELSE 'stopped' END)
  AND ($5 = '' OR s.type = $5) AND ($6::bigint IS NULL OR s.account_id = $6)
  AND ($7::bigint IS NULL OR s.template_id = $7)
"""
# The two columns of an only span are kept in step; where they differ, a node of the version before has written them.
_SEARCH = f"""
SELECT {{key}} AS _key, s.*, a.name AS account,
    CASE WHEN s.window_from = '' THEN s.windows ELSE s.window_from || '-' || s.window_to END AS spans
{_FOUND} AND {{where}} ORDER BY {{order}}
"""
_HOW_MANY = f"SELECT count(*) FROM (SELECT {_FOUND} LIMIT $8) f"  # noqa: S608 - constants


def _asked(accounts: Sequence[int] | None, wanted: Wanted, id_: int | None = None) -> tuple[object, ...]:
    whose = None if accounts is None else list(accounts)
    return whose, id_, wanted.name, wanted.state, wanted.type, wanted.account_id, wanted.template_id


def _scenario(row: Row) -> Scenario:
    terms = Terms(
        row["name"], MessageType(row["type"]), row["sign"], row["template_id"], row["extend_code"],
        row["valid_minutes"], row["spans"], row["note"],
        None if row["fallback"] is None else chain_of(json.loads(row["fallback"])),
    )  # fmt: skip
    return Scenario(
        row["id"], row["account_id"], row["account"], terms, row["created_by"], row["created_at"], row["updated_at"],
        row["stopped_at"],
    )  # fmt: skip


async def search(
    database: Database | Connection, wanted: Wanted, window: Window, *, accounts: Sequence[int] | None,
    id_: int | None = None,
) -> Slice[Scenario]:  # fmt: skip
    """Scenarios of these accounts (None: all)."""
    return await read(database, _SEARCH, _asked(accounts, wanted, id_), _ORDERS, window, _scenario, id_="s.id")


async def how_many(database: Database, wanted: Wanted, most: int, *, accounts: Sequence[int] | None) -> int:
    """How many there are, counted up to one more than ``most``."""
    count: int = await database.fetchval(_HOW_MANY, *_asked(accounts, wanted), most + 1)
    return count


async def one(database: Database | Connection, id_: int, *, accounts: Sequence[int] | None) -> Scenario | None:
    """One of them."""
    found = await search(database, Wanted(), Window(limit=1), accounts=accounts, id_=id_)
    return found.rows[0] if found.rows else None


async def usable(database: Database | Connection, accounts: Sequence[int] | None, *, limit: int) -> Sequence[Scenario]:
    """Those that are not stopped, by name."""
    window = Window("name", descending=False, limit=limit)
    return (await search(database, Wanted(state="active"), window, accounts=accounts)).rows


async def wanted(database: Database | Connection, id_: int, account_id: int) -> Scenario:
    """The one that a sending of the account names. ``PARAM_INVALID``: there is none such, or it is stopped."""
    found = await one(database, id_, accounts=[account_id])
    if found is None:
        raise Invalid("PARAM_INVALID", field="scenario_id", reason=phrase("scenario.none", id=id_))
    if found.stopped_at is not None:
        raise Invalid("PARAM_INVALID", field="scenario_id", reason=phrase("scenario.stopped", name=found.name))
    return found

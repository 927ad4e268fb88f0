"""The statements that read filings; ``accounts`` (None: all, and everybody's) is whose may be seen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from smsgw.core.errors import Refused
from smsgw.core.templates import CARRIERS
from smsgw.core.url_filings import Filing, LinkBook
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.platform.url_filings.model import CarrierSays, FiledLink
from smsgw.store.config.policies import load_links
from smsgw.store.engine.database import Connection, Database, Row

_LIST = """
SELECT f.*, a.name AS account, s.carriers FROM filed_link f LEFT JOIN account a ON a.id = f.account_id
CROSS JOIN LATERAL (
    SELECT COALESCE(json_object_agg(carrier, json_build_object('state', state, 'note', note)), '{}')::text AS carriers
    FROM filed_link_state WHERE link_id = f.id
) s
WHERE ($1::bigint[] IS NULL OR f.account_id = ANY($1)) AND ($2::bigint IS NULL OR f.id = $2)
  AND ($3::bigint IS NULL OR f.id < $3) ORDER BY f.id DESC LIMIT $4
"""


def _filed(row: Row) -> FiledLink:
    said = json.loads(row["carriers"])
    carriers = {c: CarrierSays(Filing(said[c]["state"]), said[c]["note"]) if c in said else CarrierSays(Filing.PENDING)
                for c in CARRIERS}  # fmt: skip
    return FiledLink(
        row["id"], row["account_id"], row["account"] or "", row["target"], row["icp"], row["note"], row["created_at"],
        carriers,
    )  # fmt: skip


async def page(
    database: Database | Connection,
    *,
    accounts: Sequence[int] | None,
    id_: int | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[FiledLink]:
    """Filings of these accounts (None: all, and everybody's), the newest first."""
    seen = None if accounts is None else list(accounts)
    return [_filed(row) for row in await database.fetch(_LIST, seen, id_, before, limit)]


async def get(database: Database | Connection, id_: int, *, accounts: Sequence[int] | None) -> FiledLink:
    """One of them; ``NOT_FOUND``."""
    found = await page(database, accounts=accounts, id_=id_, limit=1) if 0 < id_ < 2**63 else []
    if not found:
        raise Refused("NOT_FOUND")
    return found[0]


@dataclass(frozen=True, slots=True)
class WantedFilings:
    """Which filings are looked for; what is empty narrows nothing."""

    target: str = ""
    """Part of it."""
    account_id: int | None = None
    """0: everybody's."""
    icp: str = ""
    carrier: str = ""
    state: str = ""
    """With that carrier, or with any."""


_STATES = """
(SELECT COALESCE(json_object_agg(s.carrier, json_build_object('state', s.state, 'note', s.note)), '{{}}')::text
 FROM filed_link_state s WHERE s.link_id = f.id) AS carriers
"""
_FROM = "FROM filed_link f LEFT JOIN account a ON a.id = f.account_id"
# Everybody's are seen by whoever sees any: they hold for their accounts, too.
_SEEN = "($1::bigint[] IS NULL OR f.account_id = ANY($1) OR f.account_id = 0)"
_MATCHES = f"""
{_SEEN} AND ($2 = '' OR strpos(f.target, lower($2)) > 0) AND ($3::bigint IS NULL OR f.account_id = $3)
AND ($4 = '' OR strpos(f.icp, $4) > 0)
AND ($6 = '' OR EXISTS (
    SELECT FROM unnest($7::text[]) c LEFT JOIN filed_link_state s ON s.link_id = f.id AND s.carrier = c
    WHERE ($5 = '' OR c = $5) AND COALESCE(s.state, 'pending') = $6))
"""
_ORDERS = {"created_at": Order("f.created_at", "timestamptz"), "target": Order("f.target", "text")}
_SEARCH = f"""
SELECT f.*, a.name AS account, {_STATES}, {{key}} AS _key {_FROM} WHERE {_MATCHES} AND {{where}} ORDER BY {{order}}
"""
_HOW_MANY = f"SELECT count(*) FROM (SELECT {_FROM} WHERE {_MATCHES} LIMIT $8) n"  # noqa: S608 - constant text
_ONE = f"SELECT f.*, a.name AS account, {_STATES.format()} {_FROM} WHERE {_SEEN} AND f.id = $2"


def _asked(wanted: WantedFilings, accounts: Sequence[int] | None) -> tuple[object, ...]:
    seen = None if accounts is None else list(accounts)
    return seen, wanted.target, wanted.account_id, wanted.icp, wanted.carrier, wanted.state, list(CARRIERS)


async def search(
    database: Database, wanted: WantedFilings, window: Window, *, accounts: Sequence[int] | None
) -> Slice[FiledLink]:
    """Filings of these accounts (None: all), and everybody's."""
    return await read(database, _SEARCH, _asked(wanted, accounts), _ORDERS, window, _filed, id_="f.id")


async def how_many(database: Database, wanted: WantedFilings, most: int, *, accounts: Sequence[int] | None) -> int:
    """How many ``search`` finds, counted up to one more than ``most``."""
    number: int = await database.fetchval(_HOW_MANY, *_asked(wanted, accounts), most + 1)
    return number


async def one(database: Database, id_: int, *, accounts: Sequence[int] | None) -> FiledLink | None:
    """A filing by its id."""
    row = await database.fetchrow(_ONE, None if accounts is None else list(accounts), id_)
    return None if row is None else _filed(row)


async def book(database: Database) -> LinkBook:
    """What carriers have on file now, as sending asks about it."""
    return await load_links(database)

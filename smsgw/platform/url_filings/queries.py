"""The statements that read filings; ``accounts`` (None: all, and everybody's) is whose may be seen."""

from __future__ import annotations

import json
from collections.abc import Sequence

from smsgw.core.errors import Refused
from smsgw.core.templates import CARRIERS
from smsgw.core.url_filings import Filing, LinkBook
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


async def book(database: Database) -> LinkBook:
    """What carriers have on file now, as sending asks about it."""
    return await load_links(database)

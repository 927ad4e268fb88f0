"""The statements that read signatures and templates; ``accounts`` (None: all) is whose may be seen."""

from __future__ import annotations

import json
from collections.abc import Sequence

from smsgw.core.errors import Refused
from smsgw.core.templates import CARRIERS, Registration
from smsgw.platform.content.model import SIGN, TEMPLATE, Entry
from smsgw.store.engine.database import Database, Row

_CARRIERS = """
SELECT COALESCE(json_object_agg(carrier, json_build_object('state', r.state, 'note', r.note)), '{{}}') AS carriers
FROM registration r WHERE r.kind = '{kind}' AND r.id = x.id
"""
_LIST = """
SELECT x.*, a.name AS account, c.carriers FROM {kind} x JOIN account a ON a.id = x.account_id
CROSS JOIN LATERAL ({carriers}) c
WHERE ($1::bigint[] IS NULL OR x.account_id = ANY($1)) AND ($2::bigint IS NULL OR x.id = $2)
  AND ($3 = '' OR x.state = $3) AND ($4::bigint IS NULL OR x.id < $4) ORDER BY x.id DESC LIMIT $5
"""
_LISTS = {kind: _LIST.format(kind=kind, carriers=_CARRIERS.format(kind=kind)) for kind in (SIGN, TEMPLATE)}


def _entry(row: Row) -> Entry:
    known = json.loads(row["carriers"])
    return Entry(
        {k: v for k, v in row.items() if k != "carriers"},
        {c: known.get(c, {"state": Registration.PENDING.value, "note": ""}) for c in CARRIERS},
    )


async def page(
    database: Database,
    kind: str,
    *,
    accounts: Sequence[int] | None,
    id_: int | None = None,
    state: str = "",
    before: int | None = None,
    limit: int = 100,
) -> list[Entry]:
    """Signatures or templates (``kind``) that the accounts (None: all) may see, the newest first."""
    seen = None if accounts is None else list(accounts)
    return [_entry(r) for r in await database.fetch(_LISTS[kind], seen, id_, state, before, limit)]


async def get(database: Database, kind: str, id_: int, *, accounts: Sequence[int] | None) -> Entry:
    """One of them; ``NOT_FOUND``."""
    found = await page(database, kind, accounts=accounts, id_=id_, limit=1) if 0 < id_ < 2**63 else []
    if not found:
        raise Refused("NOT_FOUND")
    return found[0]

"""The statements that read logins with their binds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from smsgw.platform.listing import Listing, of_accounts
from smsgw.platform.paging import Order
from smsgw.platform.partners.model import BINDS, BindView, PartnerFilter, PartnerView
from smsgw.store.engine.database import Database, Row

_LIST = f"""
SELECT a.name AS account, p.protocol, p.username AS user, p.status, p.max_binds, p.send_window AS window, p.rate,
       p.ip_allow, p.type, p.code, p.any_source, p.any_clock, p.alphabet, p.message_ids, p.long_mo, {BINDS} AS binds
FROM partner p JOIN account a ON a.id = p.account_id
WHERE $1::bigint[] IS NULL OR p.account_id = ANY($1) ORDER BY a.name, p.protocol, p.username
"""  # noqa: S608 - constant text


async def partners(database: Database, accounts: Sequence[int] | None = None) -> list[dict[str, Any]]:
    """Logins of these accounts (None: all) by account, protocol and name, with the ``binds`` of all nodes as
    ``BindView`` has them."""
    rows = await database.fetch(_LIST, None if accounts is None else list(accounts))
    return [{**row, "ip_allow": [str(n) for n in row["ip_allow"]], "binds": json.loads(row["binds"])} for row in rows]


def _view(row: Row) -> PartnerView:
    values = {key: row[key] for key in PartnerView.__dataclass_fields__}
    binds = tuple(_bind(given) for given in json.loads(row["binds"]))
    return PartnerView(**values | {"ip_allow": tuple(str(n) for n in row["ip_allow"]), "binds": binds})


def _bind(given: dict[str, Any]) -> BindView:
    times = {name: given[name] and datetime.fromisoformat(given[name]) for name in ("bound_at", "last_at")}
    return BindView(**given | times)


PARTNERS = Listing(
    PartnerView,
    PartnerFilter,
    "partner p JOIN account a ON a.id = p.account_id",
    seen=of_accounts("p.account_id"),
    orders={"account": Order("a.name", "text"), "created_at": Order("p.created_at", "timestamptz")},
    make=_view,
)

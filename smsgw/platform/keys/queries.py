"""The statements that read API keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smsgw.core.actor import Actor
from smsgw.platform.keys.model import KeyFilter, ListedKey
from smsgw.platform.listing import Listing, of_accounts
from smsgw.platform.paging import Order
from smsgw.store.engine.database import Database, Row

_LIST = """
SELECT k.key_id, a.name AS account, k.scopes, k.test, k.ip_allow, k.requests_per_second, k.status, k.expires_at,
       k.created_at, k.rotated_at, cardinality(k.secrets_sealed) AS secrets, k.last_used_at, host(k.last_used_ip) AS
       last_used_ip
FROM api_key k JOIN account a ON a.id = k.account_id
WHERE ($1::bigint[] IS NULL OR k.account_id = ANY($1)) ORDER BY a.name, k.created_at
"""


async def keys(database: Database, *, accounts: Sequence[int] | None = None) -> list[dict[str, Any]]:
    """The keys of the accounts (None: all), without anything secret."""
    rows = await database.fetch(_LIST, None if accounts is None else list(accounts))
    return [dict(row) | {"ip_allow": [str(n) for n in row["ip_allow"]]} for row in rows]


def _listed(row: Row) -> ListedKey:
    values = {key: row[key] for key in ListedKey.__dataclass_fields__}
    return ListedKey(**values | {"networks": [str(one) for one in row["networks"]]})


KEYS = Listing(
    ListedKey,
    KeyFilter,
    "api_key k JOIN account a ON a.id = k.account_id",
    seen=of_accounts("k.account_id"),
    orders={"created_at": Order("k.created_at", "timestamptz")},
    make=_listed,
)

_ACTOR = """
SELECT scopes FROM api_key
WHERE key_id = $1 AND account_id = $2 AND status = 'active' AND (expires_at IS NULL OR expires_at > now())
"""
_ID = "SELECT id FROM api_key WHERE key_id = $1"


async def id_of(database: Database, key_id: str) -> int | None:
    """The id of a key."""
    found: int | None = await database.fetchval(_ID, key_id)
    return found


async def actor(database: Database, key_id: str, account_id: int) -> Actor | None:
    """A key of the account as the one who acts, with its scopes of now; None: it is none that is good."""
    scopes = await database.fetchval(_ACTOR, key_id, account_id)
    return None if scopes is None else Actor.key(key_id, account_id, scopes)

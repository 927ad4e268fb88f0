"""The statements that read API keys; ``accounts`` None means those of all accounts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smsgw.store.engine.database import Database

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

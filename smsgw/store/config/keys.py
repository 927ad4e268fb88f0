"""API keys, as the configuration in memory has them; and when they were last used."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from datetime import datetime

from smsgw.core.keys import ApiKey
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.rows import each
from smsgw.store.engine.secrets import Sealer

_USED = """
UPDATE api_key k SET last_used_at = u.at, last_used_ip = u.ip
FROM unnest($1::text[], $2::timestamptz[], $3::inet[]) AS u(key_id, at, ip)
WHERE k.key_id = u.key_id AND (k.last_used_at IS NULL OR k.last_used_at < u.at)
"""


async def note_used(database: Database, used: Mapping[str, tuple[datetime, str | None]]) -> None:
    """When, and from where, keys were last used."""
    if used:
        ids = sorted(used)
        await database.execute(_USED, ids, [used[i][0] for i in ids], [used[i][1] for i in ids])


_LOAD = "SELECT * FROM api_key"


async def load_keys(source: Connection | Database, sealer: Sealer) -> list[ApiKey]:
    """All keys, their secrets opened."""
    return each("api_key", await source.fetch(_LOAD), lambda row: _key(row, sealer))


def _key(row: Row, sealer: Sealer) -> ApiKey:
    return ApiKey(
        key_id=row["key_id"],
        account_id=row["account_id"],
        scopes=frozenset(row["scopes"]),
        test=row["test"],
        ip_allow=tuple(ipaddress.ip_network(n, strict=False) for n in row["ip_allow"]),
        bearer_sha256=row["bearer_sha256"],
        old_bearer_sha256=row["old_bearer_sha256"],
        secrets=tuple(sealer.open(s, f"api_key/{row['key_id']}") for s in row["secrets_sealed"]),
        status=row["status"],
        expires_at=row["expires_at"],
        requests_per_second=row["requests_per_second"],
    )

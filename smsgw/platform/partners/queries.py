"""The statement that reads logins with their binds; ``accounts`` None means those of all accounts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from smsgw.store.config.partners import BIND_TTL
from smsgw.store.engine.database import Database

_LIST = """
SELECT a.name AS account, p.protocol, p.username AS user, p.status, p.max_binds, p.send_window AS window, p.rate,
       p.ip_allow, p.type, p.code, p.any_source, p.any_clock, p.alphabet, p.message_ids, p.long_mo,
       COALESCE((SELECT json_agg(json_build_object('node', b.node, 'mode', b.mode, 'ip', b.ip, 'bound_at', b.bound_at)
                                 ORDER BY b.bound_at)
                 FROM partner_bind b
                 WHERE b.partner_id = p.id AND b.seen_at > clock_timestamp() - $1 * interval '1 second'),
                '[]') AS binds
FROM partner p JOIN account a ON a.id = p.account_id
WHERE $2::bigint[] IS NULL OR p.account_id = ANY($2) ORDER BY a.name, p.protocol, p.username
"""


async def partners(database: Database, accounts: Sequence[int] | None = None) -> list[dict[str, Any]]:
    """Logins by account, protocol and name, with the ``binds`` of all nodes: node, mode, ip, bound_at."""
    rows = await database.fetch(_LIST, BIND_TTL, None if accounts is None else list(accounts))
    return [
        {**row, "ip_allow": [str(n) for n in row["ip_allow"]], "binds": json.loads(row["binds"])}
        for row in rows
    ]

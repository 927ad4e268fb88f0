"""Counters of the flow, written in the transactions that they count."""

from __future__ import annotations

from collections import Counter

from smsgw.core.model import PROBE_ACCOUNT, TEST_CHANNEL
from smsgw.store.engine.cte_batch import Together
from smsgw.store.engine.database import Database

Delta = Counter[tuple[int, int, str]]
"""(account id, channel id, metric) -> how many."""

METRICS = ("accepted", "submitted", "delivered", "failed", "unknown", "rejected", "mo")

_ADD = """
INSERT INTO stat_minute AS s (minute, node, account_id, channel_id, metric, n)
SELECT date_trunc('minute', now()), $1::int, d.* FROM unnest($2::bigint[], $3::int[], $4::text[], $5::bigint[]) AS d
ON CONFLICT (minute, node, account_id, channel_id, metric) DO UPDATE SET n = s.n + excluded.n
"""


def add(changes: Together, node: int, delta: Delta) -> None:
    """Add the counts to this minute.

    What happens to test messages is not counted, and to probes apart: under ``probe_submitted`` and so on.
    """
    keys = sorted(key for key in delta if key[1] != TEST_CHANNEL)
    if keys:
        changes.add(
            {"minutes": _ADD},
            node,
            [k[0] for k in keys],
            [k[1] for k in keys],
            [f"probe_{k[2]}" if k[0] == PROBE_ACCOUNT else k[2] for k in keys],
            [delta[k] for k in keys],
        )


_CHANNELS_TODAY = """
SELECT channel_id, sum(n)::bigint AS n FROM stat_minute
WHERE minute >= date_trunc('day', now(), 'Asia/Shanghai') AND metric = 'submitted' GROUP BY channel_id
"""


async def submitted_today(database: Database) -> dict[int, int]:
    """Channel id -> parts submitted since midnight in China."""
    return {row["channel_id"]: row["n"] for row in await database.fetch(_CHANNELS_TODAY)}

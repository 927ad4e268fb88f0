"""Where there are too many complaints for what was sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from smsgw.core.settings import Settings
from smsgw.runtime import clock
from smsgw.store.engine.cte_batch import Together
from smsgw.store.engine.database import Connection, Database


@dataclass(frozen=True, slots=True)
class Rate:
    """Complaints against what was sent, of a channel or a signature."""

    channel_id: int | None
    name: str
    """Name of the channel, or the signature."""
    complaints: int
    sent: int

    @property
    def per_million(self) -> float:
        """Complaints per million parts; with nothing on record that was sent, as if it were one."""
        return self.complaints * 1e6 / max(1, self.sent)

    def over(self, settings: Settings) -> bool:
        """Whether marketing has to stop there."""
        return (
            settings.complaint_ceiling > 0
            and self.complaints >= settings.complaint_minimum
            and self.per_million > settings.complaint_ceiling
        )


_BY_CHANNEL = """
SELECT c.id, c.name, k.n,
       COALESCE((SELECT sum(s.n) FROM stat_minute s
                 WHERE s.channel_id = c.id AND s.metric = 'submitted' AND s.minute >= $1), 0)::bigint AS sent
FROM (SELECT channel_id, count(*) AS n FROM complaint WHERE at >= $1 AND channel_id IS NOT NULL GROUP BY 1) k
JOIN channel c ON c.id = k.channel_id ORDER BY c.name
"""
_BY_SIGN = """
SELECT k.sign, k.n, COALESCE((SELECT sum(s.n) FROM sign_day s WHERE s.sign = k.sign AND s.day >= $2), 0)::bigint AS sent
FROM (SELECT sign, count(*) AS n FROM complaint WHERE at >= $1 AND sign <> '' GROUP BY 1) k ORDER BY k.sign
"""


async def rates(database: Database, settings: Settings) -> list[Rate]:
    """Rates of the last ``complaint_days`` of every channel and signature that somebody complained about."""
    since = clock.now() - timedelta(days=settings.complaint_days)
    channels = await database.fetch(_BY_CHANNEL, since, timeout=30)
    signs = await database.fetch(_BY_SIGN, since, since.date(), timeout=30)
    return [Rate(r["id"], r["name"], r["n"], r["sent"]) for r in channels] + [
        Rate(None, r["sign"], r["n"], r["sent"]) for r in signs
    ]


_SWEEP = "DELETE FROM sign_day WHERE day < current_date - 100"


async def sweep(connection: Connection) -> None:
    """Forget what was sent longer ago than any rate looks back."""
    await connection.execute(_SWEEP)


_COUNT_SENT = """
INSERT INTO sign_day AS s (day, node, sign, n)
SELECT $1::date, $2::int, d.* FROM unnest($3::text[], $4::bigint[]) AS d
ON CONFLICT (day, node, sign) DO UPDATE SET n = s.n + excluded.n
"""


def count_sent(changes: Together, node: int, day: date, signs: Mapping[str, int]) -> None:
    """Add accepted parts by signature."""
    if signs:
        keys = sorted(signs)
        changes.add({"signs": _COUNT_SENT}, day, node, keys, [signs[k] for k in keys])

"""Whether carriers report in time: of what a channel's carrier has accepted, how much had no report within so long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from smsgw.core.alarm_rules import Rules
from smsgw.core.ids import CHINA, first_id
from smsgw.core.model import PROBE_ACCOUNT
from smsgw.store.engine.database import Database
from smsgw.store.engine.states import by_name

SAMPLE = 20_000
"""Of the newest messages that are looked at for a limit, of all channels together."""
OWN = 5_000
"""Of one channel of which too few are among those."""
KIND = "report_late"


@dataclass(frozen=True, slots=True)
class Late:
    """What a carrier has accepted a while ago, and what of it it had not reported in time."""

    channel: str
    accepted: int
    late: int
    limit: int
    """Seconds."""
    least: int

    @property
    def share(self) -> float:
        """Of those that are late."""
        return self.late / self.accepted if self.accepted else 0.0


# What each of them counts: answered before now less its limit, so that each part has had the time.
_COUNTED = f"""
SELECT l.name, count(*) AS accepted,
       count(*) FILTER (WHERE s.state IN (:SENT, :NO_REPORT) OR s.final_at > s.answered_at + l.seconds * interval '1 s')
       AS late
FROM l {{sample}}
WHERE s.state IN (:SENT, :DELIVERED, :UNDELIVERABLE, :NO_REPORT) AND s.account_id <> {PROBE_ACCOUNT}
  AND s.answered_at <= $1::timestamptz - l.seconds * interval '1 s'
GROUP BY l.name ORDER BY l.name
"""  # noqa: S608 - constants
_LIMITS = """
WITH l AS (
    SELECT l.*, c.id AS channel_id FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[])
        AS l(name, seconds, since, until)
    JOIN channel c ON c.name = l.name AND c.id > 0 AND c.removed_at IS NULL)
"""
# The newest by their acceptance, whichever channel has them; each limit has its own, or the shortest would fill it.
_LATE = by_name(
    _LIMITS
    + _COUNTED.format(
        sample="""
JOIN (SELECT DISTINCT seconds, since, until FROM l) w USING (seconds)
CROSS JOIN LATERAL (
    SELECT channel_id, account_id, state, answered_at, final_at FROM part
    WHERE id >= w.since AND id < w.until ORDER BY id DESC LIMIT $6
) s"""
    ).replace("WHERE s.state", "WHERE s.channel_id = l.channel_id AND s.state")
)
# Of channels of which too few are among those: their own, as far as they are near the end of the index. Identifiers of
# most carriers begin with the time; of others it is any of the day.
_OWN = by_name(
    _LIMITS
    + _COUNTED.format(
        sample="""
CROSS JOIN LATERAL (
    SELECT id, account_id, state, answered_at, final_at FROM part
    WHERE channel_id = l.channel_id AND carrier_id IS NOT NULL AND id >= $7 ORDER BY carrier_id DESC LIMIT $6
) s"""
    ).replace("WHERE s.state", "WHERE s.id >= l.since AND s.id < l.until AND s.state")
)


async def look(database: Database, rules: Rules, channels: list[str], now: datetime) -> list[Late]:
    """Each of these channels by its own rule, those that have enough to be judged and those that have not."""
    wanted = {name: rule for name in channels if (rule := rules.of(KIND, f"channel/{name}")).on}
    if not wanted:
        return []
    limits = {name: rule.values["threshold"] for name, rule in wanted.items()}
    values = rules.of(KIND).values
    since = {name: now - timedelta(seconds=limit, minutes=values["minutes"]) for name, limit in limits.items()}
    counted = await _counted(database, _LATE, limits, since, now, SAMPLE)
    few = [name for name in limits if counted.get(name, (0, 0))[0] < values["least"]]
    if few:
        day = first_id(min(since[name] for name in few).astimezone(CHINA).replace(hour=0, minute=0, second=0))
        own = await _counted(database, _OWN, {name: limits[name] for name in few}, since, now, OWN, day)
        counted |= {name: one for name, one in own.items() if one > counted.get(name, (0, 0))}
    return [Late(name, *counted[name], limits[name], values["least"]) for name in sorted(counted)]


async def _counted(
    database: Database, statement: str, limits: dict[str, int], since: dict[str, datetime], now: datetime, *more: int
) -> dict[str, tuple[int, int]]:
    rows = await database.fetch(
        statement, now, list(limits), list(limits.values()), [first_id(since[name]) for name in limits],
        [first_id(now - timedelta(seconds=limit)) for limit in limits.values()], *more, timeout=15,
    )  # fmt: skip
    return {row["name"]: (row["accepted"], row["late"]) for row in rows}

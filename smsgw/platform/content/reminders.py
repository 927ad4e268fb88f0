"""People are reminded of signatures, and of their registrations, before these are over: once at each distance.

Who is told: whoever may apply for or decide about the account's signatures. That something is over is an alarm, too, as
long as it is so.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from smsgw.core.alarms import WARNING, Finding
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.core.words import listed, phrase
from smsgw.pipeline.periodic import Periodic
from smsgw.platform.notices import service as notices
from smsgw.platform.org import queries as org
from smsgw.runtime import clock
from smsgw.runtime.ttl_cache import TtlCache
from smsgw.store.engine.database import Database, Row

log = structlog.get_logger(__name__)

DAYS = (30, 7, 1, 0)
"""Before its end; 0: it is over."""
EVERY = 900.0
AT_ONCE = 500
"""Ends of one round."""
MOST_TOLD = 1000
"""People that are looked through."""
LOOK_EVERY = 60.0
"""Seconds between two looks at what is over, for the alarms."""
MOST_NAMED = 10
RIGHTS = frozenset({Permission.SIGN_EDIT, Permission.SIGN_DECIDE})

_ENDS = """
SELECT x.id, x.account_id, x.sign, '' AS carrier, x.expires_at FROM sign x
WHERE x.state = 'approved' AND x.stopped_at IS NULL AND x.expires_at IS NOT NULL
UNION ALL
SELECT x.id, x.account_id, x.sign, r.carrier, r.expires_at FROM registration r JOIN sign x ON x.id = r.id
WHERE r.kind = 'sign' AND r.state = 'registered' AND r.expires_at IS NOT NULL AND x.state = 'approved'
  AND x.stopped_at IS NULL
"""
# Who hears of it late hears of the nearest distance alone; what has been over for a month is nothing new.
_REMIND = f"""
WITH made AS (
    INSERT INTO sign_reminder (sign_id, carrier, expires_at, days)
    SELECT e.id, e.carrier, e.expires_at, d.days FROM ({_ENDS}) e
    CROSS JOIN LATERAL (
        SELECT min(n) AS days FROM unnest($2::int[]) n
        WHERE e.expires_at <= $1::timestamptz + make_interval(days => n)) d
    WHERE d.days IS NOT NULL AND e.expires_at > $1::timestamptz - interval '30 days' AND NOT EXISTS (
        SELECT FROM sign_reminder s WHERE s.sign_id = e.id AND s.carrier = e.carrier AND s.expires_at = e.expires_at
                                      AND s.days <= d.days)
    ORDER BY e.expires_at LIMIT $3 ON CONFLICT DO NOTHING RETURNING sign_id, carrier, expires_at, days
)
SELECT m.*, x.sign, x.account_id FROM made m JOIN sign x ON x.id = m.sign_id ORDER BY m.sign_id, m.days, m.carrier
"""  # noqa: S608 - constants
_FORGET = "DELETE FROM sign_reminder WHERE expires_at < $1::timestamptz - interval '90 days'"
_OVER = f"""
SELECT a.name AS account, array_agg(DISTINCT e.sign ORDER BY e.sign) AS signs FROM ({_ENDS}) e
JOIN account a ON a.id = e.account_id WHERE e.expires_at <= $1::timestamptz GROUP BY a.name ORDER BY a.name LIMIT 100
"""  # noqa: S608 - constants


class Reminders:
    """Reminds of what comes to its end."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.findings = TtlCache(LOOK_EVERY, self.over)
        """What was over and still in use at the last look."""

    def periodics(self) -> Sequence[Periodic]:
        """What comes round."""
        return (Periodic("signs.remind", EVERY, self.step, jitter=EVERY / 10, exclusive="signs/remind"),)

    async def step(self) -> bool:
        """One round; whether there may be more to tell."""
        now = clock.now()
        people = await org.holding(self._database, RIGHTS, MOST_TOLD)
        async with self._database.transaction(timeout=60) as connection:
            rows = await connection.fetch(_REMIND, now, list(DAYS), AT_ONCE)
            by_sign: dict[int, list[Row]] = defaultdict(list)
            for row in rows:
                by_sign[row["sign_id"]].append(row)
            told: list[notices.Reminder] = []
            for id_, ends in by_sign.items():
                first = ends[0]
                who = [one.id for one in people if one.scope.covers(first["account_id"])]
                said = {
                    "sign": first["sign"],
                    "day": _last_day(min(e["expires_at"] for e in ends)),
                    "carriers": [e["carrier"] for e in ends],
                }
                detail = json.dumps(said, ensure_ascii=False)
                told += (notices.Reminder(one, "sign", id_, f"due{first['days']}", detail) for one in who)
            await notices.remind(connection, told, now)
            await connection.execute(_FORGET, now)
        if rows:
            log.info("signs.reminded", ends=len(rows), signs=len(by_sign))
        return len(rows) == AT_ONCE

    async def over(self) -> Sequence[Finding]:
        """What is over and still in use, by account."""
        return [
            Finding(
                "sign_over", f"account/{row['account']}", WARNING,
                phrase("alarm.sign_over", n=len(row["signs"]), names=listed(row["signs"][:MOST_NAMED])),
            )
            for row in await self._database.fetch(_OVER, clock.now())
        ]  # fmt: skip


def _last_day(end: datetime) -> str:
    """The last day before an end."""
    return f"{(end - timedelta(seconds=1)).astimezone(CHINA):%Y-%m-%d}"

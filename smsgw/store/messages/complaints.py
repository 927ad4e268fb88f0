"""The register of complaints, and where there are too many for what was sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from smsgw.core.errors import Invalid
from smsgw.core.ids import first_id
from smsgw.core.settings import Settings
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.records import audit

# What the person complains about: the newest message that fits.
_ABOUT = """
SELECT m.id, m.account_id, m.sign, p.channel_id FROM message m LEFT JOIN part p ON p.id = m.id AND p.part = 1
WHERE m.number = $1 AND m.id >= $2 AND ($3 = '' OR m.sign = $3) AND ($4::int IS NULL OR p.channel_id = $4)
ORDER BY m.id DESC LIMIT 1
"""
_ADD = """
INSERT INTO complaint (number, message_id, account_id, channel_id, sign, note, actor)
VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Registered:
    """A complaint as it was entered."""

    id: int
    message_id: int | None
    channel_id: int | None
    sign: str


async def add(
    database: Database, number: str, *, sign: str, channel: str, note: str, actor: str, days: int
) -> Registered:
    """Enter a complaint of a number (E.164 digits); what is not given is taken from its newest message.

    ``NOT_FOUND`` for a channel that does not exist.
    """
    async with database.transaction() as connection:
        channel_id: int | None = None
        if channel:
            channel_id = await connection.fetchval("SELECT id FROM channel WHERE name = $1", channel)
            if channel_id is None:
                raise Invalid("NOT_FOUND")
        since = first_id(clock.now() - timedelta(days=days))
        about = await connection.fetchrow(_ABOUT, number, since, sign, channel_id)
        entered = Registered(
            0,
            about["id"] if about else None,
            channel_id if channel_id is not None or about is None else about["channel_id"],
            sign or (about["sign"] if about else ""),
        )
        account_id = about["account_id"] if about else None
        id_ = await connection.fetchval(
            _ADD, number, entered.message_id, account_id, entered.channel_id, entered.sign, note, actor
        )
        await audit.append(
            connection, actor=actor, action="complaint.add", object=f"complaint/{id_}",
            after={"message_id": str(entered.message_id or ""), "sign": entered.sign, "channel_id": entered.channel_id},
        )  # fmt: skip
    return Registered(id_, entered.message_id, entered.channel_id, entered.sign)


_LIST = """
SELECT k.*, a.name AS account, c.name AS channel FROM complaint k
LEFT JOIN account a ON a.id = k.account_id LEFT JOIN channel c ON c.id = k.channel_id
ORDER BY k.id DESC LIMIT $1
"""


async def list_(database: Database, *, limit: int = 100) -> list[Row]:
    """The newest complaints."""
    return await database.fetch(_LIST, limit)


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
INSERT INTO sign_day AS s (day, node, sign, n) SELECT $1, $2, d.* FROM unnest($3::text[], $4::bigint[]) AS d
ON CONFLICT (day, node, sign) DO UPDATE SET n = s.n + excluded.n
"""


async def count_sent(connection: Connection, node: int, day: date, signs: dict[str, int]) -> None:
    """Add accepted parts by signature, inside the caller's transaction."""
    if signs:
        keys = sorted(signs)
        await connection.execute(_COUNT_SENT, day, node, keys, [signs[k] for k in keys])

"""Partners' logins as the configuration in memory has them, and what nodes tell each other of binds."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from smsgw.core.model import MessageType
from smsgw.core.partners import Partner
from smsgw.core.text import Coding
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.secrets import Sealer

BIND_TTL = 15
"""Seconds after which a bind that its node has not confirmed does not count."""


def secret_context(protocol: str, username: str) -> str:
    """What the password of a login is sealed for."""
    return f"partner/{protocol}/{username}"


def _partner(row: Row, sealer: Sealer) -> Partner:
    return Partner(
        id=row["id"],
        account_id=row["account_id"],
        protocol=row["protocol"],
        username=row["username"],
        password=sealer.open(row["password_sealed"], secret_context(row["protocol"], row["username"])),
        max_binds=row["max_binds"],
        window=row["send_window"],
        rate=row["rate"],
        ip_allow=tuple(ipaddress.ip_network(n, strict=False) for n in row["ip_allow"]),
        type=MessageType(row["type"]),
        code=row["code"],
        any_source=row["any_source"],
        any_clock=row["any_clock"],
        alphabet=Coding(row["alphabet"]),
        message_ids=row["message_ids"],
        long_mo=row["long_mo"],
        status=row["status"],
    )


async def load_partners(source: Connection | Database, sealer: Sealer) -> list[Partner]:
    """All of them, their passwords opened."""
    return [_partner(row, sealer) for row in await source.fetch("SELECT * FROM partner ORDER BY id")]


# --- binds -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BindRow:
    """A bind of this node, as others see it."""

    number: int
    partner_id: int
    account_id: int
    mode: str
    ip: str
    bound_at: datetime


_GONE = "DELETE FROM partner_bind WHERE node = $1 AND number <> ALL($2::bigint[])"

_CONFIRM = """
INSERT INTO partner_bind (node, number, partner_id, account_id, mode, ip, bound_at, seen_at)
SELECT $1, b.*, clock_timestamp()
FROM unnest($2::bigint[], $3::int[], $4::bigint[], $5::text[], $6::text[], $7::timestamptz[]) AS b
ON CONFLICT (node, number) DO UPDATE SET seen_at = excluded.seen_at
RETURNING number, kick
"""

_ELSEWHERE = """
SELECT partner_id, count(*) AS n FROM partner_bind
WHERE node <> $1 AND seen_at > clock_timestamp() - $2 * interval '1 second' GROUP BY partner_id
"""


async def confirm_binds(
    database: Database, node: int, binds: Sequence[BindRow]
) -> tuple[list[int], dict[int, int]]:
    """Say which binds this node has. The numbers of those that shall end, and binds elsewhere by partner id."""
    async with database.transaction() as connection:
        await connection.execute(_GONE, node, [b.number for b in binds])
        rows = await connection.fetch(
            _CONFIRM,
            node,
            [b.number for b in binds],
            [b.partner_id for b in binds],
            [b.account_id for b in binds],
            [b.mode for b in binds],
            [b.ip for b in binds],
            [b.bound_at for b in binds],
        )
        elsewhere = await connection.fetch(_ELSEWHERE, node, BIND_TTL)
    return [row["number"] for row in rows if row["kick"]], {r["partner_id"]: r["n"] for r in elsewhere}


# --- addresses -------------------------------------------------------------------------------------------------

ADDRESS_DAYS = 30
"""Days after the last login from it for which an address is a login's own."""
MAX_ADDRESSES = 20_000
"""That one look reads, the newest."""
ADDRESSES_OF_ONE = 1_000
"""Of a login, the newest."""

_NOTE = """
INSERT INTO partner_address (partner_id, network, noted_at)
SELECT p.id, a.network, clock_timestamp() FROM unnest($1::int[], $2::text[]) AS a(partner_id, network)
JOIN partner p ON p.id = a.partner_id
ORDER BY 1, 2
ON CONFLICT (partner_id, network) DO UPDATE SET noted_at = excluded.noted_at
"""
_FORGET = "DELETE FROM partner_address WHERE noted_at < now() - $1 * interval '1 day'"
_BEYOND = """
DELETE FROM partner_address a USING (
    SELECT partner_id, network, row_number() OVER (PARTITION BY partner_id ORDER BY noted_at DESC) AS n
    FROM partner_address WHERE partner_id = ANY($1::int[])
) old
WHERE old.n > $2 AND a.partner_id = old.partner_id AND a.network = old.network
"""
_NOTED = """
SELECT partner_id, network, noted_at FROM partner_address
WHERE noted_at > COALESCE($1, now() - $2 * interval '1 day') ORDER BY noted_at DESC LIMIT $3
"""


async def note_addresses(database: Database, used: Sequence[tuple[int, str]]) -> None:
    """Logins (partner id, network) have come from there."""
    async with database.transaction() as connection:
        await connection.execute(_NOTE, [u[0] for u in used], [u[1] for u in used])
        await connection.execute(_FORGET, ADDRESS_DAYS)
        await connection.execute(_BEYOND, sorted({u[0] for u in used}), ADDRESSES_OF_ONE)


async def noted_addresses(database: Database, since: datetime | None) -> list[Row]:
    """What was noted after that, on any node: partner_id, network, noted_at; oldest first."""
    rows = await database.fetch(_NOTED, since, ADDRESS_DAYS, MAX_ADDRESSES)
    return rows[::-1]


# --- CONNECTs --------------------------------------------------------------------------------------------------

CONNECT_HOURS = 48
"""Hours for which they are kept: as long as their time may be near ours (``partners/connects``)."""
MAX_CONNECTS = 20_000
"""That one look reads, the newest."""

_NOTE_CONNECT = """
INSERT INTO partner_connect (partner_id, stamp, noted_at)
SELECT p.id, c.stamp, clock_timestamp() FROM unnest($1::int[], $2::bigint[]) AS c(partner_id, stamp)
JOIN partner p ON p.id = c.partner_id
ORDER BY 1, 2
ON CONFLICT (partner_id, stamp) DO NOTHING
"""
_FORGET_CONNECTS = "DELETE FROM partner_connect WHERE noted_at < now() - $1 * interval '1 hour'"
_NOTED_CONNECTS = """
SELECT partner_id, stamp, noted_at FROM partner_connect
WHERE noted_at > COALESCE($1, now() - $2 * interval '1 hour') ORDER BY noted_at DESC LIMIT $3
"""


async def note_connects(database: Database, seen: Sequence[tuple[int, int]]) -> None:
    """CONNECTs (partner id, Timestamp) have let somebody in."""
    async with database.transaction() as connection:
        await connection.execute(_NOTE_CONNECT, [s[0] for s in seen], [s[1] for s in seen])
        await connection.execute(_FORGET_CONNECTS, CONNECT_HOURS)


async def noted_connects(database: Database, since: datetime | None) -> list[Row]:
    """What was noted after that, on any node: partner_id, stamp, noted_at; oldest first."""
    rows = await database.fetch(_NOTED_CONNECTS, since, CONNECT_HOURS, MAX_CONNECTS)
    return rows[::-1]

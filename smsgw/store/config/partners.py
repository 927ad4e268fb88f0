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
from smsgw.store.engine.rows import each
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
    rows = await source.fetch("SELECT * FROM partner ORDER BY id")
    return each("partner", rows, lambda row: _partner(row, sealer))


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
    version: str = ""
    submits: int = 0
    """Since it was bound, as are the other counts."""
    refused: int = 0
    slowed: int = 0
    """Of those: for too much at a time."""
    delivered: int = 0
    unanswered: int = 0
    """Of its requests; …"""
    deliveries: int = 0
    """… and of ours."""
    rate: float = 0.0
    """Destinations a second, lately."""
    last_at: datetime | None = None
    codes: str = "{}"
    """JSON: why submits were refused -> how many."""


_GONE = "DELETE FROM partner_bind WHERE node = $1 AND number <> ALL($2::bigint[])"

_TYPES = {
    "number": "bigint", "partner_id": "int", "account_id": "bigint", "mode": "text", "ip": "text",
    "bound_at": "timestamptz", "version": "text", "submits": "bigint", "refused": "bigint", "slowed": "bigint",
    "delivered": "bigint", "unanswered": "int", "deliveries": "int", "rate": "real", "last_at": "timestamptz",
    "codes": "text",
}  # fmt: skip
_COUNTS = tuple(_TYPES)[7:]
"""What changes while it is bound."""
_CONFIRM = """
INSERT INTO partner_bind AS p (node, seen_at, {columns})
SELECT $1, clock_timestamp(), {values}
FROM unnest({arrays}) AS b({columns})
ON CONFLICT (node, number) DO UPDATE SET seen_at = excluded.seen_at, {update}
RETURNING number, kick
""".format(
    columns=", ".join(_TYPES),
    values=", ".join(f"b.{name}::jsonb" if name == "codes" else f"b.{name}" for name in _TYPES),
    arrays=", ".join(f"${n}::{type_}[]" for n, type_ in enumerate(_TYPES.values(), 2)),
    update=", ".join(f"{name} = excluded.{name}" for name in _COUNTS),
)
_ELSEWHERE = """
SELECT partner_id, count(*) AS n FROM partner_bind
WHERE node <> $1 AND seen_at > clock_timestamp() - $2 * interval '1 second' GROUP BY partner_id
"""


# Nodes hear of each other's binds after a while, and limits are lowered: each node comes to the same order of them, and
# ends its own beyond the limit, so the oldest stay.
_BEYOND_LIMIT = """
SELECT number FROM (
    SELECT b.node, b.number, p.max_binds,
           row_number() OVER (PARTITION BY b.partner_id ORDER BY b.bound_at, b.node, b.number) AS place
    FROM partner_bind b JOIN partner p ON p.id = b.partner_id
    WHERE b.partner_id = ANY($2::int[]) AND NOT b.kick AND b.seen_at > clock_timestamp() - $3 * interval '1 second'
) placed WHERE node = $1 AND place > max_binds
"""


async def confirm_binds(
    database: Database, node: int, binds: Sequence[BindRow]
) -> tuple[dict[int, str], dict[int, int]]:
    """Say which binds this node has. Numbers of those that shall end, with why, and binds elsewhere by partner."""
    async with database.transaction() as connection:
        await connection.execute(_GONE, node, [b.number for b in binds])
        rows = await connection.fetch(_CONFIRM, node, *([getattr(b, name) for b in binds] for name in _TYPES))
        beyond = await connection.fetch(_BEYOND_LIMIT, node, sorted({b.partner_id for b in binds}), BIND_TTL)
        elsewhere = await connection.fetch(_ELSEWHERE, node, BIND_TTL)
    ends = {row["number"]: "max_binds" for row in beyond} | {row["number"]: "kicked" for row in rows if row["kick"]}
    return ends, {r["partner_id"]: r["n"] for r in elsewhere}


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
